// Batch payments with ethers 6: the example of docs/payments.md, as the tests run it.
import { Contract, concat, toBeHex } from "ethers";

export const PAYMENTS = "0x000000000000000000000000000000000000b004";
export const paymentsAbi = [
  "function pay96(bytes payments) payable",
  "function pay128(bytes payments) payable",
  "event Transfer(address indexed from, address indexed to, uint256 amount)",
];

/// Packs payments of `{ to, amount }` (wei, below 2^96): 20 bytes of address, 12 bytes of amount, without gaps.
export const pack96 = (payments) => concat(payments.flatMap(({ to, amount }) => [to, toBeHex(amount, 12)]));

/// Pays all of them in one transaction with one signature, or none.
export async function payMany(wallet, payments, overrides = {}) {
  const value = payments.reduce((sum, { amount }) => sum + amount, 0n);
  return new Contract(PAYMENTS, paymentsAbi, wallet).pay96(pack96(payments), { value, ...overrides });
}
