"""web3.py against a devnet: deploy, call, events, a type-2 transaction, a revert, a batch payment, a proof."""

import json
import sys
import unittest

import rlp
from eth_utils import keccak
from web3 import Web3
from web3.exceptions import ContractCustomError

RECEIPT_SECONDS_MAX = 60
GWEI = 10**9
PAYMENTS = "0x000000000000000000000000000000000000b004"
RECIPIENT = Web3.to_checksum_address("0x00000000000000000000000000000000000000c5")


def proven(root, key, proof):
    """The value that a Merkle-Patricia proof shows under `key`, or None for its absence; every node must hash right."""
    path = keccak(key).hex()
    wanted = bytes(root)
    for place, encoded in enumerate(proof):
        encoded = bytes(encoded)
        if len(encoded) >= 32 or place == 0:
            assert keccak(encoded) == wanted, "a node is not the one that its parent refers to"
        node = rlp.decode(encoded)
        if len(node) == 17:
            if not path:
                return node[16] or None
            wanted, path = node[int(path[0], 16)], path[1:]
        else:
            flag, nibbles = node[0][0] >> 4, node[0].hex()
            nibbles = nibbles[1:] if flag % 2 else nibbles[2:]
            if not path.startswith(nibbles):
                return None
            path = path[len(nibbles):]
            if flag >= 2:
                return node[1] if not path else None
            wanted = node[1]
        if wanted == b"":
            return None
    raise AssertionError("the proof ends too early")


class Web3Cases(unittest.TestCase):
    world = None

    @classmethod
    def setUpClass(cls):
        world = cls.world
        cls.w3, cls.elsewhere = (Web3(Web3.HTTPProvider(url)) for url in (world["rpc"][0], world["rpc"][-1]))
        cls.account = cls.w3.eth.account.from_key(world["key"])
        token = cls.w3.eth.contract(abi=world["token"]["abi"], bytecode=world["token"]["bytecode"])
        receipt = cls.send(token.constructor())
        cls.address = receipt.contractAddress
        cls.token = cls.w3.eth.contract(address=cls.address, abi=world["token"]["abi"])
        cls.token_elsewhere = cls.elsewhere.eth.contract(address=cls.address, abi=world["token"]["abi"])

    @classmethod
    def send(cls, call, **fields):
        """Signs and sends a contract's function as a type-2 transaction; its receipt as another node has it."""
        nonce = cls.w3.eth.get_transaction_count(cls.account.address, "pending")
        transaction = call.build_transaction({"from": cls.account.address, "nonce": nonce, **fields})
        return cls.send_signed(transaction)

    @classmethod
    def send_signed(cls, transaction):
        sent = cls.w3.eth.send_raw_transaction(cls.account.sign_transaction(transaction).raw_transaction)
        return cls.elsewhere.eth.wait_for_transaction_receipt(sent, timeout=RECEIPT_SECONDS_MAX)

    def test_every_node_names_the_chain(self):
        for w3 in (self.w3, self.elsewhere):
            self.assertTrue(w3.is_connected())
            self.assertEqual(w3.eth.chain_id, self.world["chain_id"])
        self.assertTrue(self.w3.client_version.startswith("bxp/"))

    def test_a_contract_deploys_and_is_called(self):
        self.assertEqual(self.token_elsewhere.functions.symbol().call(), "TKN")
        self.assertEqual(self.elsewhere.eth.get_code(self.address), self.w3.eth.get_code(self.address))

    def test_events_are_decoded_and_filtered(self):
        before = self.w3.eth.block_number
        receipt = self.send(self.token.functions.transfer(RECIPIENT, 25))
        self.assertEqual(receipt.status, 1)
        (told,) = self.token.events.Transfer().process_receipt(receipt)
        self.assertEqual((told.args["from"], told.args.to, told.args.value), (self.account.address, RECIPIENT, 25))
        logs = self.token_elsewhere.events.Transfer().get_logs(
            from_block=before, argument_filters={"to": RECIPIENT})
        self.assertIn(receipt.transactionHash, [log.transactionHash for log in logs])
        installed = self.token_elsewhere.events.Transfer.create_filter(from_block=before)
        self.assertEqual(installed.get_all_entries()[0].event, "Transfer")

    def test_a_type_2_transaction_pays_its_effective_price(self):
        base_fee = self.w3.eth.get_block("latest").baseFeePerGas
        cap = 2 * base_fee + 3 * GWEI
        before = self.elsewhere.eth.get_balance(RECIPIENT)
        nonce = self.w3.eth.get_transaction_count(self.account.address, "pending")
        receipt = self.send_signed({
            "type": 2, "chainId": self.world["chain_id"], "nonce": nonce, "to": RECIPIENT, "value": 7, "gas": 21_000,
            "maxFeePerGas": cap, "maxPriorityFeePerGas": 2 * GWEI,
        })
        self.assertEqual((receipt.status, receipt.type, receipt.gasUsed), (1, 2, 21_000))
        block = self.elsewhere.eth.get_block(receipt.blockNumber)
        self.assertEqual(receipt.effectiveGasPrice, min(cap, block.baseFeePerGas + 2 * GWEI))
        self.assertEqual(self.elsewhere.eth.get_balance(RECIPIENT), before + 7)
        self.assertEqual(self.elsewhere.eth.get_transaction(receipt.transactionHash).nonce, nonce)
        self.assertGreater(len(self.w3.eth.fee_history(4, "latest", [50]).baseFeePerGas), 1)

    def test_a_revert_reaches_the_client(self):
        stranger = self.w3.eth.account.create().address
        with self.assertRaises(ContractCustomError) as refused:
            self.token.functions.transfer(RECIPIENT, 1).call({"from": stranger})
        insufficient = keccak(b"ERC20InsufficientBalance(address,uint256,uint256)")[:4].hex()
        self.assertIn(insufficient, str(refused.exception))

    def test_a_batch_payment_pays_with_one_signature(self):
        people = [Web3.to_checksum_address(keccak(f"web3 {index}".encode())[-20:]) for index in range(50)]
        packed = b"".join(bytes.fromhex(to[2:]) + (index + 1).to_bytes(12, "big") for index, to in enumerate(people))
        abi = json.loads('[{"type":"function","name":"pay96","stateMutability":"payable","outputs":[],'
                         '"inputs":[{"name":"payments","type":"bytes"}]}]')
        contract = self.w3.eth.contract(address=Web3.to_checksum_address(PAYMENTS), abi=abi)
        receipt = self.send(contract.functions.pay96(packed), value=sum(range(1, 51)))
        self.assertEqual((receipt.status, len(receipt.logs)), (1, 50))
        self.assertEqual([self.elsewhere.eth.get_balance(to) for to in people], list(range(1, 51)))

    def test_proofs_are_verified_in_the_client(self):
        block = self.elsewhere.eth.get_block("latest")
        # The total supply is in slot 2 of OpenZeppelin's ERC-20.
        proof = self.elsewhere.eth.get_proof(self.address, [2, 99], block.number)
        account = proven(block.stateRoot, bytes.fromhex(self.address[2:]), proof.accountProof)
        nonce, _, storage_root, code_hash = rlp.decode(account)
        self.assertEqual((int.from_bytes(nonce, "big"), storage_root), (1, bytes(proof.storageHash)))
        self.assertEqual(code_hash, keccak(self.elsewhere.eth.get_code(self.address)))
        supply, nothing = proof.storageProof
        value = proven(storage_root, (2).to_bytes(32, "big"), supply.proof)
        self.assertEqual(int.from_bytes(rlp.decode(value), "big"), self.token.functions.totalSupply().call())
        self.assertIsNone(proven(storage_root, (99).to_bytes(32, "big"), nothing.proof))
        with self.assertRaises(AssertionError):
            proven(block.transactionsRoot, bytes.fromhex(self.address[2:]), proof.accountProof)


if __name__ == "__main__":
    with open(sys.argv.pop(), encoding="utf-8") as file:
        Web3Cases.world = json.load(file)
    unittest.main(verbosity=2)
