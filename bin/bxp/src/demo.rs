//! The demonstration: row E of the white paper, from records in to patients paid, with every claim checked.
//!
//! Star and Dawn (US) and a German hospital take records in, under the eyes of a Canadian regulator. Quanttus asks for charts with atrial
//! fibrillation or myocardial infarction and an EKG at least two weeks before, in two tranches; between them one
//! patient who was in the first revokes.

mod checks;
mod inputs;
mod intake;
pub(crate) mod tables;
mod trade;

use crate::{client::RpcClient, devnet::RunningDevnet, operator::Operator, wallet::Wallet};
use anyhow::{Context, Result};
use bxp_types::{Address, Jurisdiction};
use checks::Checks;
use std::path::Path;

/// One node as the demonstration sees it.
struct Station {
    name: String,
    jurisdiction: Jurisdiction,
    /// Whether it oversees rather than holds.
    regulator: bool,
    account: Address,
    operator: Operator,
    rpc: RpcClient,
}

/// The demonstration on a running network.
pub(crate) struct Demo {
    stations: Vec<Station>,
    /// Quanttus: no member of the network, an account with money and a key to which deliveries are sealed.
    quanttus: Wallet,
    treasury: Address,
}

impl Demo {
    /// Prepares the demonstration.
    pub(crate) fn new(network: &RunningDevnet) -> Result<Self> {
        let genesis = &network.devnet.genesis;
        let stations = network.addresses().zip(&genesis.validators).map(|(addresses, entry)| {
            Ok(Station {
                name: entry.name.clone(),
                jurisdiction: entry.jurisdiction,
                regulator: entry.name.starts_with("regulator"),
                account: entry.account,
                operator: Operator::of(&network.devnet.config_file(&entry.name))?,
                rpc: RpcClient::new(&addresses.rpc),
            })
        });
        let buyer = network.devnet.funded.first().context("the network has no funded account")?;
        Ok(Self {
            stations: stations.collect::<Result<_>>()?,
            quanttus: Wallet::new(buyer.private_key)?,
            treasury: genesis.treasury,
        })
    }

    /// Tells the story; an error if anything does not check.
    pub(crate) async fn tell(&self, data: Option<&Path>, patients: u32) -> Result<()> {
        let mut checks = Checks::default();
        let folder = tempfile::tempdir().context("make a folder for invented patients")?;
        step(1, "Patients");
        let inputs = inputs::prepare(data, patients, folder.path(), &self.stations)?;
        step(2, "Records in: validated, split, sealed, sent where the law allows, anchored");
        self.take_in(&inputs, &mut checks).await?;
        step(3, "What each node holds");
        self.show_holdings(&inputs, &mut checks).await?;
        step(4, "One record, at home and abroad");
        self.show_one_record(&mut checks).await?;
        step(5, "Patients switch contribution on");
        self.switch_contribution_on(&mut checks).await?;
        self.trade(&inputs, &mut checks).await?;
        step(9, "Every claim, checked");
        checks.conclude()
    }

    /// The node through which the demonstration reads the chain.
    fn reader(&self) -> &RpcClient {
        &self.stations[0].rpc
    }
}

fn step(number: u8, title: &str) {
    println!("\n{number}. {title}");
}
