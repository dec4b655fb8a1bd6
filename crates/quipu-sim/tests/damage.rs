//! A part of the damage run that is the same every time: every file of every archive removed,
//! replaced, swapped, doubled, every block zeroed; of flipped bytes and cuts one in [`ONE_IN`].
//! `quipu-damage` runs all of them.

use quipu_sim::damage::{self, Case, Damage, Fault, Masks, Plan, Shape};

const ONE_IN: u64 = 97;

fn run(shapes: &[Shape]) {
    let plan = Plan {
        masks: Masks::All,
        one_in: ONE_IN,
        threads: 2,
    };
    let report = damage::run(shapes, plan, &|_, _| {});
    println!("{}", report.markdown());
    let total = report.total();
    assert!(total.cases > 1000, "{total}");
    assert!(total.least > 0, "{total}");
    assert!(report.faults.is_empty(), "{}", report.faults());
}

#[test]
fn archives_of_our_own() {
    run(&damage::written().unwrap());
}

#[test]
fn archives_of_the_reference_program() {
    run(&damage::adopted().unwrap());
}

#[test]
fn cases_are_found_by_their_names() {
    for shape in damage::written().unwrap() {
        for case in Case::all(&shape, Masks::One) {
            assert_eq!(case.to_string().parse(), Ok(case));
        }
    }
}

/// An archive that holds something else than the account says is found out.
#[test]
fn a_wrong_value_and_a_lost_item_are_caught() {
    let mut shapes = damage::written().unwrap();
    let shape = &mut shapes[0];
    let files = shape.files.iter().map(|(file, _)| file.clone());
    let marks = files.into_iter().find(|file| &*file.name == "marks");
    let case = Case {
        file: marks.unwrap(),
        damage: Damage::Garbage { len: 1 },
    };
    assert_eq!(damage::check(shape, &case).unwrap().faults, []);
    shape.items[5].value[0] ^= 1;
    let outcome = damage::check(shape, &case).unwrap();
    assert!(outcome.has(Fault::Wrong) && outcome.has(Fault::LostBeyond));
    assert_eq!((outcome.least, outcome.lost, outcome.beyond), (0, 1, 1));
}

/// The shapes with key tables have what their names say.
#[test]
fn shapes_with_key_tables_have_several() {
    let shapes = damage::written().unwrap();
    let of = |name: &str| {
        let shape = shapes.iter().find(|shape| shape.name == name).unwrap();
        let count =
            |files: &damage::Files| files.iter().filter(|(file, _)| file.is_table()).count();
        let earlier = |files: &damage::Files| {
            let tables = files.iter().filter(|(file, _)| file.is_table());
            tables
                .filter(|(file, bytes)| shape.files.get(file) != Some(bytes))
                .count()
        };
        let gone: usize = shape.older.iter().map(earlier).sum();
        (count(&shape.files), gone > 0)
    };
    assert_eq!(of("tables"), (3, false));
    assert_eq!(of("tables-merged"), (3, true));
    let (now, gone) = of("tables-rewound");
    assert!(now > 1 && gone, "{now}");
}
