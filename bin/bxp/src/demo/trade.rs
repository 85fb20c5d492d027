//! Row E: Quanttus asks and pays, holders match and deliver, patients are paid; one revokes in between.

use super::{Demo, checks::Checks, inputs::Inputs, step, tables::table};
use crate::client::RpcReceipt;
use anyhow::{Context, Result, ensure};
use bxp_clinical::criterion::Criterion;
use bxp_contracts::DataRequest;
use bxp_market::{
    Buyer, NewRequest, OpenedDelivery, RecordShares, SplitBps, accept, created_request, refund,
};
use bxp_types::{Address, Amount, U256, primitives::Log};
use cid::Cid;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// 2 BXM for each chart that fits.
const PRICE_BXM: u64 = 2;
const SPLIT: SplitBps = SplitBps { patient: 5_000, holder: 4_500, treasury: 500 };
/// Charts of the first tranche.
const FIRST_WANTED: u32 = 2;
/// More charts than there are, so that a part stays unfulfilled.
const SPARE: u32 = 5;
/// How long a tranche may take to be delivered.
const DELIVERED_WITHIN: Duration = Duration::from_secs(300);
const SETTLED_AT_ONCE: u32 = 200;
/// Gas for a refund, which cannot be estimated on a quiet chain whose newest block is older than the deadline.
const REFUND_GAS: u64 = 200_000;

/// A request and what came of it.
struct Tranche {
    request: Address,
    deliveries: Vec<OpenedDelivery>,
    patients: BTreeSet<Address>,
    progress: DataRequest::Progress,
}

impl Demo {
    /// The two tranches and the balances around them.
    pub(super) async fn trade(&self, inputs: &Inputs, checks: &mut Checks) -> Result<()> {
        ensure!(
            inputs.fitting > FIRST_WANTED as usize,
            "the story needs more than {FIRST_WANTED} charts that fit"
        );
        let buyer = Buyer::random()?;
        let before = self.balances().await?;
        step(6, "Quanttus asks for a first tranche");
        let started = Instant::now();
        let mut fees = Amount::ZERO;
        let first = self.first_tranche(&buyer, &mut fees, checks).await?;
        let took = started.elapsed();
        step(7, "One of them revokes, and Quanttus asks for the rest");
        let revoked = self.revoke_one(&first, checks).await?;
        let second = self.second_tranche(&buyer, inputs.fitting, took, &mut fees).await?;
        checks.that(
            "the revoked patient is in no delivery after the revocation",
            !second.patients.contains(&revoked),
        );
        let expected = inputs.fitting - 1;
        checks.that(
            format!("the second tranche holds every other chart that fits: {expected}"),
            second.progress.counted as usize == expected,
        );
        step(8, "Who was paid");
        self.show_payments(&before, [&first, &second], fees, checks).await
    }

    async fn first_tranche(&self, buyer: &Buyer, fees: &mut Amount, checks: &mut Checks) -> Result<Tranche> {
        let deadline = self.reader().block_time().await?.max(now()) + 3_600;
        let request = self.open_request(buyer, FIRST_WANTED, deadline, fees).await?;
        self.wait_for(request, |progress| progress.counted == FIRST_WANTED).await?;
        let settled = self.reader().transact(&self.quanttus, accept(request, SETTLED_AT_ONCE)).await?;
        add_fee(fees, &settled)?;
        println!("   delivered, and accepted by Quanttus at block {}", settled.block_number);
        let tranche = self.collect(buyer, request).await?;
        checks.that(
            "the first tranche was delivered and settled in full",
            tranche.progress.settled == FIRST_WANTED,
        );
        Ok(tranche)
    }

    /// A patient of the first tranche switches contribution off, through the holder in whose custody the account is.
    async fn revoke_one(&self, first: &Tranche, checks: &mut Checks) -> Result<Address> {
        let patient = *first.patients.first().context("nobody was delivered")?;
        let body = json!({"changes": [{"account": patient, "on": false}]});
        let mut revoked = 0;
        for station in &self.stations {
            // Only the holder with the account in custody can carry it; the others know no such patient.
            if let Ok(done) = station.operator.post::<Value>("consents", &body).await {
                revoked += done["changed"].as_u64().unwrap_or_default();
                println!("   patient {patient}, at {}, switches contribution off", station.name);
            }
        }
        checks.that("the revocation is on the chain", revoked == 1);
        Ok(patient)
    }

    async fn second_tranche(
        &self,
        buyer: &Buyer,
        fitting: usize,
        first_took: Duration,
        fees: &mut Amount,
    ) -> Result<Tranche> {
        let wanted = u32::try_from(fitting)? + SPARE;
        let seconds = (first_took.as_secs() * 4).clamp(20, 240);
        let deadline = now() + seconds;
        let request = self.open_request(buyer, wanted, deadline, fees).await?;
        println!("   it ends in {seconds} s; what is not fulfilled by then comes back");
        let expected = u32::try_from(fitting)? - 1;
        let end = tokio::time::Instant::now() + Duration::from_secs(deadline.saturating_sub(now()));
        let delivered = self.wait_for(request, |progress| progress.counted == expected);
        // What is not delivered in time stays undelivered, and the claims below show it.
        if let Ok(delivered) = tokio::time::timeout_at(end - Duration::from_secs(5), delivered).await {
            delivered?;
            add_fee(fees, &self.reader().transact(&self.quanttus, accept(request, SETTLED_AT_ONCE)).await?)?;
        }
        tokio::time::sleep_until(end + Duration::from_secs(2)).await;
        self.wait_for(request, |progress| progress.settled == progress.counted).await?;
        let counted = self.progress(request).await?.counted;
        let refunded = self.reader().transact_with_gas(&self.quanttus, refund(request), REFUND_GAS).await?;
        add_fee(fees, &refunded)?;
        println!("   {counted} of {wanted} delivered and paid; the price of {} came back", wanted - counted);
        self.collect(buyer, request).await
    }

    async fn open_request(
        &self,
        buyer: &Buyer,
        wanted: u32,
        deadline: u64,
        fees: &mut Amount,
    ) -> Result<Address> {
        let call = buyer.create_request(&NewRequest {
            criterion: Criterion::afib_or_mi_with_earlier_ekg(),
            price_per_record: Amount::from_bxm(PRICE_BXM).0,
            wanted,
            deadline,
            acceptance_window: 3_600,
            split: SPLIT,
        })?;
        let escrow = Amount(call.value);
        let receipt = self.reader().transact(&self.quanttus, call).await?;
        add_fee(fees, &receipt)?;
        let logs: Vec<Log> = receipt
            .logs
            .iter()
            .map(|log| Log::new_unchecked(log.address, log.topics.clone(), log.data.clone()))
            .collect();
        let request = created_request(&logs).context("the market opened no request")?;
        println!(
            "   {wanted} charts with AFib or MI and an EKG at least two weeks before, {PRICE_BXM} BXM each; \
             {escrow} in escrow at {request}, block {}",
            receipt.block_number
        );
        Ok(request)
    }

    async fn progress(&self, request: Address) -> Result<DataRequest::Progress> {
        self.reader().read(request, &DataRequest::progressCall {}).await
    }

    async fn wait_for(&self, request: Address, done: impl Fn(&DataRequest::Progress) -> bool) -> Result<()> {
        let deadline = Instant::now() + DELIVERED_WITHIN;
        while !done(&self.progress(request).await?) {
            ensure!(
                Instant::now() < deadline,
                "request {request} was not fulfilled within {DELIVERED_WITHIN:?}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Fetches what the contract recorded, opens it with the buyer's key and checks it against the record.
    async fn collect(&self, buyer: &Buyer, request: Address) -> Result<Tranche> {
        let count: U256 = self.reader().read(request, &DataRequest::deliveryCountCall {}).await?;
        let mut deliveries = Vec::new();
        for number in 0..count.to::<u64>() {
            let call = DataRequest::storage_Call { delivery: U256::from(number) };
            let recorded: DataRequest::Delivery = self.reader().read(request, &call).await?;
            let sealed = self.sealed_delivery(&recorded).await?;
            deliveries.push(buyer.open_delivery(request, &recorded, &sealed)?);
        }
        for delivery in &deliveries {
            let records: usize = delivery.charts.iter().map(|chart| chart.records.len()).sum();
            println!(
                "   Quanttus opens what {} sealed for it: {} charts, {records} de-identified records",
                self.name_of(delivery.holder),
                delivery.charts.len()
            );
        }
        let disclosed = self.reader().events::<DataRequest::PatientContentDisclosed>(request).await?;
        let patients = disclosed.into_iter().map(|(_, event)| event.patient).collect();
        let progress = self.progress(request).await?;
        Ok(Tranche { request, deliveries, patients, progress })
    }

    async fn sealed_delivery(&self, recorded: &DataRequest::Delivery) -> Result<Vec<u8>> {
        let cid = Cid::try_from(recorded.cid.as_ref()).context("read a delivery's CID")?.to_string();
        let holder = self.stations.iter().find(|station| station.account == recorded.holder);
        let holder = holder.context("a delivery names an unknown holder")?;
        holder.operator.content(&cid).await?.with_context(|| format!("{} does not give {cid}", holder.name))
    }

    /// Balances of everyone who is named.
    async fn balances(&self) -> Result<BTreeMap<String, Amount>> {
        let mut accounts = vec![("Quanttus".to_owned(), self.quanttus.address())];
        accounts.extend(self.stations.iter().map(|station| (station.name.clone(), station.account)));
        accounts.push(("fee treasury".to_owned(), self.treasury));
        let mut balances = BTreeMap::new();
        for (name, account) in accounts {
            balances.insert(name, self.reader().balance(account).await?);
        }
        Ok(balances)
    }

    async fn show_payments(
        &self,
        before: &BTreeMap<String, Amount>,
        tranches: [&Tranche; 2],
        fees: Amount,
        checks: &mut Checks,
    ) -> Result<()> {
        let share = RecordShares::of(Amount::from_bxm(PRICE_BXM).0, SPLIT);
        println!(
            "   one chart: {} to the patient, {} to the holder, {} to the treasury",
            share.patient, share.holder, share.treasury
        );
        let after = self.balances().await?;
        let rows = before.iter().map(|(name, before)| {
            [name.clone(), before.to_string(), after.get(name).copied().unwrap_or_default().to_string()]
        });
        println!("{}", table(["account", "before", "after"], 1, rows.collect()));
        self.check_patients(tranches, share, checks).await?;
        let paid = sum(tranches.map(|tranche| Amount(tranche.progress.paid)))?;
        let settled: u64 = tranches.iter().map(|tranche| u64::from(tranche.progress.settled)).sum();
        let price = Amount::from_bxm(PRICE_BXM).0;
        checks.that(
            format!("{settled} charts were paid once each: {paid}"),
            paid.0 == price * U256::from(settled),
        );
        let spent = paid.checked_add(fees).context("add up what Quanttus spent")?;
        let quanttus =
            |balances: &BTreeMap<String, Amount>| balances.get("Quanttus").copied().unwrap_or_default();
        checks.that(
            "Quanttus paid exactly for what was delivered, and its gas; the rest came back",
            quanttus(before).checked_sub(quanttus(&after)) == Some(spent),
        );
        for tranche in tranches {
            let opened: usize = tranche.deliveries.iter().map(|delivery| delivery.charts.len()).sum();
            let left = self.reader().balance(tranche.request).await?;
            checks.that(
                format!(
                    "request {}: {opened} charts opened, as many as counted, and no money left in it",
                    tranche.request
                ),
                opened == tranche.progress.counted as usize && left == Amount::ZERO,
            );
        }
        let holders: BTreeSet<Address> =
            tranches.iter().flat_map(|tranche| &tranche.deliveries).map(|delivery| delivery.holder).collect();
        checks.that("two holders or more delivered", holders.len() >= 2);
        Ok(())
    }

    /// Each patient's account holds its share of each delivery in which its chart was.
    async fn check_patients(
        &self,
        tranches: [&Tranche; 2],
        share: RecordShares,
        checks: &mut Checks,
    ) -> Result<()> {
        let mut charts: BTreeMap<Address, u64> = BTreeMap::new();
        for patient in tranches.iter().flat_map(|tranche| &tranche.patients) {
            *charts.entry(*patient).or_default() += 1;
        }
        let mut right = true;
        let mut total = Amount::ZERO;
        for (patient, count) in &charts {
            let balance = self.reader().balance(*patient).await?;
            right &= balance.0 == share.patient.0 * U256::from(*count);
            total = total.checked_add(balance).context("add up what patients have")?;
        }
        println!("   {} patients have {total} in their accounts", charts.len());
        checks.that("each patient's account holds exactly its share", right);
        Ok(())
    }
}

fn add_fee(fees: &mut Amount, receipt: &RpcReceipt) -> Result<()> {
    *fees = fees.checked_add(receipt.fee()).context("add up gas")?;
    Ok(())
}

fn sum(amounts: [Amount; 2]) -> Result<Amount> {
    amounts[0].checked_add(amounts[1]).context("add up payments")
}

/// The clock in seconds since the epoch.
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
