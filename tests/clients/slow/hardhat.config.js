import hardhatEthers from "@nomicfoundation/hardhat-ethers";

export default {
  plugins: [hardhatEthers],
  networks: { bxp: { type: "http", chainType: "l1", url: process.env.BXP_RPC ?? "http://127.0.0.1:8545" } },
};
