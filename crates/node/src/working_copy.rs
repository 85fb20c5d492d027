//! Where the hospital's working copy is: a file in the node's folder, or a database server in the node's country (ADR 71).

use crate::NodeConfig;
use anyhow::{Context, Result, bail, ensure};
use bxp_fhir_store::{Server, Store};
use bxp_types::{Jurisdiction, Secret};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The table `[fhir]`: where whole resources are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fhir {
    /// `postgres://USER@HOST/DATABASE` of a PostgreSQL 15 server; without it, a file under SQLCipher in the node's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The country in which that server and its backups are: it must be the node's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Jurisdiction>,
    /// The file of the authority that signed the server's certificate, in PEM. Without it, the server must be on a socket of
    /// this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// The file of the user's password, which only the node's user reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PathBuf>,
    /// The most connections to the server; 32 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<usize>,
}

impl Fhir {
    /// Paths beside the configuration file.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        for path in [&mut self.authority, &mut self.password].into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }

    /// Says what would have no effect.
    pub(crate) fn check(&self) -> Result<()> {
        let of_server = self.country.is_some()
            || self.authority.is_some()
            || self.password.is_some()
            || self.connections_max.is_some();
        ensure!(
            self.store.is_some() || !of_server,
            "[fhir] says things of a server, and fhir.store names none"
        );
        Ok(())
    }

    fn server(&self, url: &str) -> Result<Server> {
        let read = |path: &PathBuf| fs::read(path).with_context(|| format!("read {}", path.display()));
        let authority = self.authority.as_ref().map(read).transpose()?;
        let password = self.password.as_ref().map(|path| password(path)).transpose()?;
        Ok(Server::new(url, password.as_ref(), authority.as_deref(), self.connections_max)?)
    }
}

fn password(path: &Path) -> Result<Secret<String>> {
    use std::os::unix::fs::PermissionsExt;
    let context = || format!("read {}", path.display());
    let mode = fs::metadata(path).with_context(context)?.permissions().mode();
    ensure!(mode & 0o077 == 0, "{} is readable by others; chmod 600 it", path.display());
    Ok(Secret::new(fs::read_to_string(path).with_context(context)?.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Opens the working copy. Blocks: not for async threads.
pub(crate) fn open(config: &NodeConfig, key: Secret<[u8; 32]>, home: Jurisdiction) -> Result<Store> {
    let folder = config.data_dir.join("fhir");
    let file = Store::file(&folder);
    // The other place would begin empty, and what is in this one would lie about for ever.
    let moved = folder.join("is-on-a-server");
    let Some(url) = &config.fhir.store else {
        ensure!(
            !moved.exists(),
            "this node's working copy is on a database server: name it in fhir.store, or remove {} to have the node make it \
             again here from its vault",
            moved.display()
        );
        return Store::open(&folder, key)
            .with_context(|| format!("open the FHIR store in {}", folder.display()));
    };
    if config.fhir.country != Some(home) {
        bail!(
            "the database server of fhir.store must be in the node's own country; if it is, and its backups are, \
             say so with country = \"{home}\" in [fhir]"
        );
    }
    ensure!(
        !file.exists(),
        "this node's working copy is in {}: take fhir.store out, or move that file away, with its -wal and -shm, to have \
         the node make it again on the database server from its vault",
        file.display()
    );
    let store = Store::connect(config.fhir.server(url)?, &key)?;
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(&moved, "The working copy of this node is on the database server of fhir.store.\n")
        .with_context(|| format!("write {}", moved.display()))?;
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path, fhir: &str) -> Result<NodeConfig> {
        let path = folder.join("node.toml");
        let listen = "[listen]\np2p = \"127.0.0.1:1\"\nrpc = \"127.0.0.1:2\"\nfhir = \"127.0.0.1:3\"\nmetrics = \"127.0.0.1:4\"\n";
        let text = format!(
            "name = \"star\"\ngenesis = \"g\"\ndata_dir = \"data\"\ndefault_jurisdiction = \"US\"\n{listen}{fhir}"
        );
        fs::write(&path, text)?;
        NodeConfig::read(&path)
    }

    fn refused(folder: &Path, fhir: &str) -> String {
        let config = config(folder, fhir).unwrap();
        format!("{:#}", open(&config, Secret::new([1; 32]), Jurisdiction::US).unwrap_err())
    }

    #[test]
    fn a_server_that_is_not_said_to_be_at_home_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let url = "store = \"postgres://u@%2Fnowhere/d\"";
        for country in ["", "country = \"DE\""] {
            let said = refused(folder.path(), &format!("[fhir]\n{url}\n{country}\n"));
            assert!(said.contains("country = \"US\""), "{said}");
        }
        let elsewhere = "[fhir]\nstore = \"postgres://u@db.example/d\"\ncountry = \"US\"\n";
        assert!(refused(folder.path(), elsewhere).contains("TLS"));
        assert!(config(folder.path(), "[fhir]\ncountry = \"US\"\n").is_err(), "a country of nothing");
    }

    #[test]
    fn a_node_does_not_begin_anew_at_another_place() {
        let folder = tempfile::tempdir().unwrap();
        let at_home = config(folder.path(), "").unwrap();
        drop(open(&at_home, Secret::new([1; 32]), Jurisdiction::US).unwrap());
        let server = "[fhir]\nstore = \"postgres://u@%2Fnowhere/d\"\ncountry = \"US\"\n";
        assert!(refused(folder.path(), server).contains("move that file away"));
        fs::remove_dir_all(folder.path().join("data/fhir")).unwrap();
        fs::create_dir_all(folder.path().join("data/fhir")).unwrap();
        fs::write(folder.path().join("data/fhir/is-on-a-server"), "").unwrap();
        assert!(refused(folder.path(), "").contains("fhir.store"));
    }

    #[test]
    fn a_password_is_for_the_nodes_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "planted\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(password(&path).unwrap_err().to_string().contains("chmod"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(&path).unwrap().expose(), "planted");
    }
}
