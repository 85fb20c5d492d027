// What a Hardhat test does: deploys with the node's accounts, takes a fixture back, moves the clock, impersonates.
import assert from "node:assert/strict";
import { network } from "hardhat";
import { compileUpgradeable } from "../contracts.mjs";

const { ethers, provider } = await network.connect("bxp");
const [owner, other] = await ethers.getSigners();
const built = compileUpgradeable();
const deploy = async ({ abi, bytecode }, ...args) => {
  const contract = await new ethers.ContractFactory(abi, bytecode, owner).deploy(...args);
  await contract.waitForDeployment();
  return contract;
};

const first = await deploy(built.CounterV1);
const initialize = first.interface.encodeFunctionData("initialize");
const proxy = await deploy(built.Proxy, await first.getAddress(), initialize);
const counter = new ethers.Contract(await proxy.getAddress(), built.CounterV2.abi, owner);
await (await counter.increment()).wait();
const second = await deploy(built.CounterV2);
await (await counter.upgradeToAndCall(await second.getAddress(), "0x")).wait();
assert.equal(await counter.version(), 2n);

const snapshot = await provider.request({ method: "evm_snapshot", params: [] });
await (await counter.increment()).wait();
assert.equal(await counter.count(), 11n);
assert.equal(await provider.request({ method: "evm_revert", params: [snapshot] }), true);
assert.equal(await counter.count(), 1n);

const before = (await ethers.provider.getBlock("latest")).timestamp;
await provider.request({ method: "evm_increaseTime", params: [3600] });
await provider.request({ method: "evm_mine", params: [] });
assert.ok((await ethers.provider.getBlock("latest")).timestamp >= before + 3600);

const whale = "0x00000000000000000000000000000000000000ab";
await provider.request({ method: "hardhat_setBalance", params: [whale, "0xde0b6b3a7640000"] });
await provider.request({ method: "hardhat_impersonateAccount", params: [whale] });
const signer = await ethers.getSigner(whale);
await (await signer.sendTransaction({ to: other.address, value: 1n })).wait();

await assert.rejects(counter.connect(other).upgradeToAndCall(await first.getAddress(), "0x"), /NotOwner|revert/);
const { hash } = await (await counter.increment()).wait();
const trace = await provider.request({ method: "debug_traceTransaction", params: [hash, { tracer: "callTracer" }] });
assert.equal(trace.calls[0].type, "DELEGATECALL");
console.log("hardhat is content");
