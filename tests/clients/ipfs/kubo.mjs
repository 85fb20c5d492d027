// Kubo as a peer of a private swarm: a repository and a daemon of its own, driven by its command line.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/// Built by `build_kubo.sh`, where Go is there.
export const binary = process.env.KUBO_BIN ?? fileURLToPath(new URL("kubo/ipfs", import.meta.url));
export const isThere = existsSync(binary);

const READY_MS_MAX = 60_000;

/// Starts Kubo under a swarm key, or without one; `swarmKey` is the file's text.
export async function startKubo(swarmKey) {
  const folder = await mkdtemp(join(tmpdir(), "bxp-kubo-"));
  // With the second variable Kubo refuses to start outside of a private swarm, as a guard of the tests themselves.
  const env = { ...process.env, IPFS_PATH: folder, IPFS_TELEMETRY: "off" };
  if (swarmKey) env.LIBP2P_FORCE_PNET = "1";
  const ipfs = async (...options) => {
    const { stdout } = await promisify(execFile)(binary, options, { env, timeout: 60_000, maxBuffer: 64 << 20 });
    return stdout.trim();
  };
  await ipfs("init", "--profile", "test");
  if (swarmKey) await writeFile(join(folder, "swarm.key"), swarmKey, { mode: 0o600 });
  await ipfs("config", "--json", "AutoConf.Enabled", "false");
  await ipfs("config", "--json", "Bootstrap", "[]");
  await ipfs("config", "Routing.Type", "none");
  await ipfs("config", "--json", "AutoTLS.Enabled", "false");
  await ipfs("config", "--json", "DNS.Resolvers", "{}");
  await ipfs("config", "--json", "Ipns.DelegatedPublishers", "[]");
  await ipfs("config", "--json", "Routing.DelegatedRouters", "[]");
  await ipfs("config", "--json", "Swarm.Transports.Network", '{"QUIC":false,"WebTransport":false,"WebRTCDirect":false,"Websocket":false}');
  await ipfs("config", "--json", "Addresses.Swarm", '["/ip4/127.0.0.1/tcp/0"]');
  const id = JSON.parse(await ipfs("id")).ID;
  const daemon = spawn(binary, ["daemon"], { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const ready = new Promise((resolve, reject) => {
    const hear = (text) => {
      said = (said + text).slice(-20_000);
      if (said.includes("Daemon is ready")) resolve();
    };
    daemon.stdout.setEncoding("utf8").on("data", hear);
    daemon.stderr.setEncoding("utf8").on("data", hear);
    daemon.once("exit", () => reject(new Error(`Kubo ended; it wrote:\n${said}`)));
    setTimeout(() => reject(new Error(`Kubo did not get ready; it wrote:\n${said}`)), READY_MS_MAX).unref();
  });
  const stop = async () => {
    const exited = new Promise((resolve) => daemon.once("exit", resolve));
    if (daemon.exitCode === null && daemon.kill("SIGTERM")) await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await ready;
  } catch (error) {
    await stop();
    throw error;
  }
  return { id, ipfs, folder, stop };
}
