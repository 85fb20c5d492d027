//! `bxp sim`: whole networks on seeds, with everything going wrong that may; and with `--model`, how fast they are.

mod model;

use anyhow::{Context, Result, bail, ensure};
use bxp_sim::Summary;
use clap::{Args, ValueEnum};
use std::{
    ops::Range,
    str::FromStr,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

/// Whole nodes of more validators than this take too long for one run.
const VALIDATORS_MAX: u16 = 100;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Validators of each network; fewer than a third of them are Byzantine. At most 100, with --model 1,000.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    validators: u16,
    /// Who checks proposals; where it is sharded, validators that verify falsely come up as well.
    #[arg(long, value_enum, default_value_t)]
    verification: Verification,
    /// A seed, or A..B for all seeds from A on and below B.
    #[arg(long, default_value = "0..100")]
    seeds: Seeds,
    /// One line of JSON for each run.
    #[arg(long)]
    json: bool,
    /// Print every step of the runs, one after another, and what each message says.
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    model: model::Arguments,
}

/// Who checks the signatures of a proposal.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Verification {
    /// Every validator.
    #[default]
    All,
    /// t + 1 validators, t more where those are slow or disagree.
    Sharded,
}

impl Verification {
    const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Sharded => "sharded",
        }
    }
}

impl From<Verification> for bxp_sim::Verification {
    fn from(verification: Verification) -> Self {
        match verification {
            Verification::All => Self::All,
            Verification::Sharded => Self::Sharded,
        }
    }
}

#[derive(Clone, Debug)]
struct Seeds(Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
        match text.split_once("..") {
            Some((first, end)) => Ok(Self(number(first)?..number(end)?)),
            None => number(text).map(|seed| Self(seed..seed.saturating_add(1))),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(place) = arguments.model.model {
        return model::run(place, arguments);
    }
    ensure!(arguments.validators <= VALIDATORS_MAX, "--validators: at most {VALIDATORS_MAX} without --model");
    let validators = usize::from(arguments.validators);
    let verification = arguments.verification;
    let Seeds(seeds) = arguments.seeds.clone();
    if seeds.is_empty() {
        bail!("--seeds names no seed; use a number or A..B");
    }
    // A trace is read from the top to the bottom, so traced runs do not mix.
    let workers = if arguments.trace { 1 } else { thread::available_parallelism().map_or(1, usize::from) };
    let (count, next) = (seeds.end - seeds.start, AtomicU64::new(seeds.start));
    let mut failed = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let (summaries, done) = mpsc::channel();
        for _ in 0..workers {
            let (summaries, next) = (summaries.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end
                        || summaries
                            .send(bxp_sim::run(seed, validators, verification.into(), arguments.trace))
                            .is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(summaries);
        for summary in done {
            print(&summary, arguments.json)?;
            if summary.failure.is_some() {
                failed.push(summary.seed);
            }
        }
        Ok(())
    })?;
    if !failed.is_empty() {
        failed.sort_unstable();
        bail!(
            "{} of {count} runs failed: seeds {failed:?}; `bxp sim --validators {validators} --verification {} --seeds SEED --trace` \
             replays one",
            failed.len(),
            verification.name(),
        );
    }
    if !arguments.json {
        println!("{count} runs of {validators} validators: every rule held");
    }
    Ok(())
}

fn print(run: &Summary, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(run).context("write the summary")?);
        return Ok(());
    }
    println!(
        "seed {:>6}  {:>3} blocks  {:>4} transactions  {:>4} acknowledged  {:>2} crashes  healed within {:>6.2} s  {:?}",
        run.seed,
        run.heights,
        run.transactions,
        run.acknowledged,
        run.crashes,
        run.healed_within_s.unwrap_or_default(),
        run.byzantine,
    );
    if let Some(failure) = &run.failure {
        for line in &failure.last {
            println!("    {line}");
        }
        println!("  FAILED at {:.6} s, host {:?}: {}", failure.at_s, failure.host, failure.what);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_a_range() {
        assert_eq!("7".parse::<Seeds>().unwrap().0, 7..8);
        assert_eq!("0..500".parse::<Seeds>().unwrap().0, 0..500);
        assert!("a..b".parse::<Seeds>().is_err() && "".parse::<Seeds>().is_err());
    }
}
