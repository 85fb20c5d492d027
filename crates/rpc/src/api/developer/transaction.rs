//! What a request of `eth_sendTransaction` becomes: a transaction of the type that it names, or that its fields make.

use crate::fault::Fault;
use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy, TxType, TypedTransaction};
use alloy_primitives::TxKind;
use alloy_rpc_types_eth::TransactionRequest;

/// The tip of a transaction that names no fee, in wei.
const TIP_WEI: u128 = 1_000_000_000;

/// What the chain and the sender's account add to a request.
pub(super) struct Completion {
    pub(super) chain_id: u64,
    pub(super) nonce: u64,
    pub(super) gas_limit: u64,
    /// In wei, of the next block.
    pub(super) base_fee_wei: u64,
}

/// Refuses what the transaction could not have, rather than send it without. Gives its type.
///
/// # Errors
/// [`Fault::InvalidParams`] says which fields exclude each other, or which types there are.
pub(super) fn check(request: &TransactionRequest, chain_id: u64) -> Result<TxType, Fault> {
    if let Some(have) = request.chain_id.filter(|have| *have != chain_id) {
        return invalid(format!("chainId does not match node's (have={have}, want={chain_id})"));
    }
    let dynamic = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    if request.gas_price.is_some() && dynamic {
        return invalid("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified");
    }
    let called = matches!(request.to, Some(TxKind::Call(_)));
    if request.authorization_list.is_some() && (request.gas_price.is_some() || !called) {
        return invalid("an authorizationList needs \"to\", and maxFeePerGas instead of gasPrice");
    }
    if request.blob_versioned_hashes.is_some() || request.max_fee_per_blob_gas.is_some() {
        return invalid("transaction type not supported: the chain takes no blobs");
    }
    match (&request.input.input, &request.input.data) {
        (Some(input), Some(data)) if input != data => {
            invalid("both \"data\" and \"input\" are set and not equal; use \"input\" to pass calldata")
        }
        _ => request.transaction_type.map_or_else(|| Ok(of_fields(request)), |named| of_name(request, named)),
    }
}

fn invalid<T>(words: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::InvalidParams(words.into()))
}

/// The type that has the request's fields.
fn of_fields(request: &TransactionRequest) -> TxType {
    match (&request.gas_price, &request.access_list, &request.authorization_list) {
        (Some(_), Some(_), _) => TxType::Eip2930,
        (Some(_), None, _) => TxType::Legacy,
        (None, _, Some(_)) => TxType::Eip7702,
        (None, _, None) => TxType::Eip1559,
    }
}

/// The type that the request names, which must have all of its fields (EIP-2718, EIP-2930, EIP-1559, EIP-7702).
fn of_name(request: &TransactionRequest, named: u8) -> Result<TxType, Fault> {
    let (kind, without): (_, &[&str]) = match named {
        0 => (TxType::Legacy, &["maxFeePerGas", "maxPriorityFeePerGas", "accessList", "authorizationList"]),
        1 => (TxType::Eip2930, &["maxFeePerGas", "maxPriorityFeePerGas", "authorizationList"]),
        2 => (TxType::Eip1559, &["gasPrice", "authorizationList"]),
        4 if request.authorization_list.is_some() => (TxType::Eip7702, &["gasPrice"]),
        other => {
            return invalid(format!(
                "transaction type {other:#x} is not supported; the chain takes 0x0, 0x1, 0x2 and, with an \
                 authorizationList, 0x4"
            ));
        }
    };
    let given = [
        ("gasPrice", request.gas_price.is_some()),
        ("maxFeePerGas", request.max_fee_per_gas.is_some()),
        ("maxPriorityFeePerGas", request.max_priority_fee_per_gas.is_some()),
        ("accessList", request.access_list.is_some()),
        ("authorizationList", request.authorization_list.is_some()),
    ];
    match given.iter().find(|(field, given)| *given && without.contains(field)) {
        Some((field, _)) => {
            invalid(format!("{field} specified, which a transaction of type {named:#x} does not have"))
        }
        None => Ok(kind),
    }
}

/// Completes a request that was checked, as wallets do.
pub(super) fn complete(
    kind: TxType,
    request: TransactionRequest,
    completion: &Completion,
) -> TypedTransaction {
    let Completion { chain_id, nonce, gas_limit, base_fee_wei } = *completion;
    let base_fee = u128::from(base_fee_wei);
    let to = request.to.unwrap_or(TxKind::Create);
    let value = request.value.unwrap_or_default();
    let input = request.input.input.or(request.input.data).unwrap_or_default();
    let gas_price = request.gas_price.unwrap_or_else(|| base_fee.saturating_add(TIP_WEI));
    if kind == TxType::Legacy {
        let chain_id = Some(chain_id);
        return TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input }.into();
    }
    let access_list = request.access_list.unwrap_or_default();
    if kind == TxType::Eip2930 {
        return TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input }.into();
    }
    let max_priority_fee_per_gas = request
        .max_priority_fee_per_gas
        .unwrap_or_else(|| request.max_fee_per_gas.map_or(TIP_WEI, |cap| cap.min(TIP_WEI)));
    // Twice the base fee holds for six full blocks.
    let max_fee_per_gas = request
        .max_fee_per_gas
        .unwrap_or_else(|| base_fee.saturating_mul(2).saturating_add(max_priority_fee_per_gas));
    match (request.authorization_list, to) {
        (Some(authorization_list), TxKind::Call(to)) => TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            authorization_list,
            input,
        }
        .into(),
        _ => TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            input,
        }
        .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const COMPLETION: Completion =
        Completion { chain_id: 31_337, nonce: 7, gas_limit: 21_000, base_fee_wei: 5 };

    fn request(fields: &Value) -> TransactionRequest {
        let mut request = fields.clone();
        request["to"] = json!("0x0909090909090909090909090909090909090909");
        serde_json::from_value(request).unwrap()
    }

    fn made(fields: &Value) -> TypedTransaction {
        let request = request(fields);
        let kind = check(&request, COMPLETION.chain_id).unwrap();
        complete(kind, request, &COMPLETION)
    }

    #[test]
    fn a_named_type_is_sent_and_without_one_the_fields_make_it() {
        for (fields, kind) in [
            (json!({}), TxType::Eip1559),
            (json!({ "gasPrice": "0x9" }), TxType::Legacy),
            (json!({ "gasPrice": "0x9", "accessList": [] }), TxType::Eip2930),
            (json!({ "accessList": [] }), TxType::Eip1559),
            (json!({ "authorizationList": [] }), TxType::Eip7702),
            (json!({ "type": "0x0" }), TxType::Legacy),
            (json!({ "type": "0x0", "gasPrice": "0x9" }), TxType::Legacy),
            (json!({ "type": "0x1" }), TxType::Eip2930),
            (json!({ "type": "0x1", "gasPrice": "0x9" }), TxType::Eip2930),
            (json!({ "type": "0x1", "accessList": [] }), TxType::Eip2930),
            (json!({ "type": "0x2" }), TxType::Eip1559),
            (json!({ "type": "0x2", "maxFeePerGas": "0x9", "accessList": [] }), TxType::Eip1559),
            (json!({ "type": "0x4", "authorizationList": [] }), TxType::Eip7702),
        ] {
            let found = match made(&fields) {
                TypedTransaction::Legacy(_) => TxType::Legacy,
                TypedTransaction::Eip2930(_) => TxType::Eip2930,
                TypedTransaction::Eip1559(_) => TxType::Eip1559,
                TypedTransaction::Eip4844(_) => TxType::Eip4844,
                TypedTransaction::Eip7702(_) => TxType::Eip7702,
            };
            assert_eq!(found, kind, "{fields}");
        }
    }

    #[test]
    fn fees_that_are_not_named_are_those_of_the_next_block() {
        let price = |fields: &Value| match made(fields) {
            TypedTransaction::Legacy(sent) => sent.gas_price,
            TypedTransaction::Eip2930(sent) => sent.gas_price,
            TypedTransaction::Eip1559(sent) => sent.max_fee_per_gas,
            other => panic!("{other:?}"),
        };
        assert_eq!(price(&json!({ "type": "0x0", "gasPrice": "0x9" })), 9);
        assert_eq!(price(&json!({ "type": "0x0" })), 5 + TIP_WEI);
        assert_eq!(price(&json!({ "type": "0x1" })), 5 + TIP_WEI);
        assert_eq!(price(&json!({ "type": "0x2" })), 2 * 5 + TIP_WEI);
        assert_eq!(price(&json!({ "maxFeePerGas": "0x9" })), 9);
    }

    #[test]
    fn fields_of_another_type_are_refused_by_name() {
        for (fields, named) in [
            (json!({ "gasPrice": "0x9", "maxFeePerGas": "0x9" }), "both gasPrice and"),
            (json!({ "type": "0x2", "gasPrice": "0x9", "maxPriorityFeePerGas": "0x9" }), "both gasPrice and"),
            (json!({ "type": "0x0", "maxFeePerGas": "0x9" }), "maxFeePerGas specified"),
            (json!({ "type": "0x0", "maxPriorityFeePerGas": "0x9" }), "maxPriorityFeePerGas specified"),
            (json!({ "type": "0x0", "gasPrice": "0x9", "accessList": [] }), "accessList specified"),
            (json!({ "type": "0x0", "authorizationList": [] }), "authorizationList specified"),
            (json!({ "type": "0x1", "maxFeePerGas": "0x9" }), "of type 0x1"),
            (json!({ "type": "0x1", "authorizationList": [] }), "authorizationList specified"),
            (json!({ "type": "0x2", "gasPrice": "0x9" }), "gasPrice specified"),
            (json!({ "type": "0x2", "authorizationList": [] }), "authorizationList specified"),
            (json!({ "type": "0x3" }), "takes 0x0, 0x1, 0x2 and"),
            (json!({ "type": "0x4" }), "with an authorizationList, 0x4"),
            (json!({ "type": "0x7f" }), "transaction type 0x7f is not supported"),
        ] {
            match check(&request(&fields), COMPLETION.chain_id) {
                Err(Fault::InvalidParams(words)) => assert!(words.contains(named), "{fields}: {words}"),
                other => panic!("{fields}: {other:?}"),
            }
        }
    }
}
