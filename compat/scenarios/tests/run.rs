//! The runs find what an engine does wrong, tried with an engine that is the model itself.

use quipu_compat_scenarios::{
    Answer, Checks, Engine, Expected, Item, Key, Op, Question, Scenario, run, self_check,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Stores by folder; two engines share them as they would share a disk.
type Disk = Rc<RefCell<BTreeMap<PathBuf, Vec<Op>>>>;

/// Changes a right answer into a wrong one, or leaves it.
type Fault = fn(&Question, &mut Answer);

struct Model {
    disk: Disk,
    answers: Fault,
    writes: fn(&mut Vec<Op>),
}

impl Engine for Model {
    fn name(&self) -> String {
        "model".to_owned()
    }

    fn write(&self, dir: &Path, scenario: &Scenario) -> anyhow::Result<()> {
        let mut ops = scenario.ops.clone();
        (self.writes)(&mut ops);
        self.disk
            .borrow_mut()
            .entry(dir.to_owned())
            .or_default()
            .extend(ops);
        Ok(())
    }

    fn ask(
        &self,
        dir: &Path,
        scenario: &Scenario,
        questions: &[Question],
    ) -> anyhow::Result<Vec<Answer>> {
        let ops = self.disk.borrow().get(dir).cloned().unwrap_or_default();
        let all = Expected::of(&scenario.with_ops(ops));
        let (indices, keys) = (all.by_index(), all.by_key());
        let answers = questions.iter().map(|question| {
            let mut answer = answer(&all, &indices, &keys, question);
            (self.answers)(question, &mut answer);
            answer
        });
        Ok(answers.collect())
    }
}

fn answer(
    all: &Expected,
    indices: &BTreeMap<u64, Vec<&Item>>,
    keys: &BTreeMap<Key, Vec<&Item>>,
    question: &Question,
) -> Answer {
    match question {
        Question::Get(at) => Answer::Value(indices.get(at).map(|items| items[0].value.clone())),
        Question::GetKey(key) => Answer::Value(keys.get(key).map(|items| items[0].value.clone())),
        Question::GetAll(at) => {
            let values = indices.get(at);
            Answer::Values(
                values.map(|items| items.iter().map(|item| item.value.clone()).collect()),
            )
        }
        Question::Has(at) => Answer::Flag(indices.contains_key(at)),
        Question::HasKey(key) => Answer::Flag(keys.contains_key(key)),
        Question::HasAt(at, key) => {
            let found = all
                .items
                .iter()
                .any(|item| item.index == *at && item.key == *key);
            Answer::Flag(found)
        }
        Question::Items => Answer::Items(
            indices
                .values()
                .flatten()
                .map(|item| (*item).clone())
                .collect(),
        ),
        Question::Ranges => Answer::Runs(all.ranges.clone()),
        Question::RangesFrom(at) => Answer::Runs(all.ranges_from(*at)),
        Question::NextGap(at) => {
            let (end, next) = all.next_gap(*at);
            Answer::Gap(end, next)
        }
        Question::Missing(at, max) => Answer::Indices(all.missing_items(*at, *max)),
        Question::First => Answer::Index(all.ranges.first().map(|run| run.0)),
        Question::Last => Answer::Index(all.ranges.last().map(|run| run.1)),
    }
}

fn model(disk: &Disk, answers: Fault, writes: fn(&mut Vec<Op>)) -> Model {
    Model {
        disk: disk.clone(),
        answers,
        writes,
    }
}

fn checks() -> Checks {
    Checks {
        seeds: vec![1..=40],
        ..Checks::default()
    }
}

fn right(_: &Question, _: &mut Answer) {}

fn all(_: &mut Vec<Op>) {}

/// What the run says with a second engine that answers or writes like this.
fn complaint(answers: Fault, writes: fn(&mut Vec<Op>)) -> String {
    let disk = Disk::default();
    let (good, bad) = (model(&disk, right, all), model(&disk, answers, writes));
    let error = run(&good, &bad, &checks()).expect_err("the fault was not found");
    format!("{error:#}")
}

#[test]
fn engines_that_do_right_pass_everything() {
    let disk = Disk::default();
    let (one, two) = (model(&disk, right, all), model(&disk, right, all));
    let report = run(&one, &two, &checks()).expect("nothing is wrong");
    assert_eq!(report.passed, 47 * 3);
    assert_eq!(
        self_check(&one, &checks())
            .expect("nothing is wrong")
            .passed,
        47 * 2
    );
}

#[test]
fn every_wrong_answer_is_found() {
    let faults: [Fault; 9] = [
        |question, answer| {
            if let (Question::Get(_), Answer::Value(Some(value))) = (question, answer)
                && value.len() > 60_000
            {
                value[9] ^= 1;
            }
        },
        |question, answer| {
            if matches!(question, Question::GetKey(_)) && *answer == Answer::Value(None) {
                *answer = Answer::Value(Some(Vec::new()));
            }
        },
        |question, answer| {
            if matches!(question, Question::Has(u64::MAX) | Question::HasAt(..)) {
                *answer = Answer::Flag(true);
            }
        },
        |question, answer| {
            if matches!(question, Question::HasKey(_)) {
                *answer = Answer::Flag(false);
            }
        },
        |_, answer| {
            if let Answer::Values(Some(values)) = answer {
                values.reverse();
            }
        },
        |_, answer| {
            if let Answer::Runs(runs) = answer {
                runs.truncate(1);
            }
        },
        |_, answer| {
            if let Answer::Gap(_, next) = answer {
                *next = None;
            }
        },
        |_, answer| {
            if let Answer::Indices(indices) = answer {
                indices.truncate(19);
            }
        },
        |_, answer| {
            if let Answer::Items(items) = answer {
                items.pop();
            }
        },
    ];
    for fault in faults {
        assert!(complaint(fault, all).contains("expected"));
    }
}

#[test]
fn everything_that_is_written_wrongly_is_found() {
    let faults: [fn(&mut Vec<Op>); 4] = [
        |ops| drop(ops.pop()),
        |ops| ops.retain(|op| !matches!(op, Op::Prune(_))),
        |ops| {
            for op in ops {
                if let Op::PutMulti(item) = op {
                    *op = Op::Put(item.clone());
                }
            }
        },
        |ops| {
            for op in ops {
                if let Op::Put(item) = op {
                    *op = Op::PutMulti(item.clone());
                }
            }
        },
    ];
    for fault in faults {
        assert!(complaint(right, fault).contains("expected"));
    }
}

#[test]
fn a_complaint_names_scenario_question_and_both_values() {
    let fault: Fault = |question, answer| {
        if matches!(question, Question::Get(90)) {
            *answer = Answer::Value(Some(vec![7; 40]));
        }
    };
    let text = complaint(fault, all);
    assert!(
        text.starts_with("reproduce with --scenario plain: plain: model reads: Get(90)"),
        "{text}"
    );
    assert!(text.contains("found 40 bytes 0707070707070707"), "{text}");
}

#[test]
fn a_panic_is_a_complaint_too() {
    let fault: Fault = |question, _| assert!(!matches!(question, Question::Last), "no last");
    assert!(complaint(fault, all).contains("panicked: no last"));
}
