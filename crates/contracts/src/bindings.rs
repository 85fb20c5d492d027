//! Bindings generated from the committed artifacts. What each item means is said in `contracts/src/*.sol`.

#![allow(missing_docs, unreachable_pub, clippy::all)]

use alloy_sol_types::sol;

sol!(
    #[sol(all_derives)]
    RecordRegistry,
    "../../contracts/artifacts/RecordRegistry.json"
);
sol!(
    #[sol(all_derives)]
    ConsentRegistry,
    "../../contracts/artifacts/ConsentRegistry.json"
);
sol!(
    #[sol(all_derives)]
    DataMarket,
    "../../contracts/artifacts/DataMarket.json"
);
sol!(
    #[sol(all_derives)]
    DataRequest,
    "../../contracts/artifacts/DataRequest.json"
);
sol!(
    #[sol(all_derives)]
    IPayments,
    "../../contracts/artifacts/IPayments.json"
);
sol!(
    #[sol(all_derives)]
    NodeRegistry,
    "../../contracts/artifacts/NodeRegistry.json"
);
