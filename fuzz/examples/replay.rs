//! Runs one input of a target: `cargo run --example replay -- adopt FILE`.

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(file)) = (arguments.next(), arguments.next()) else {
        eprintln!("give a target and a file");
        std::process::exit(2);
    };
    let target = quipu_fuzz::Target::ALL
        .into_iter()
        .find(|target| target.name() == name);
    match (target, std::fs::read(&file)) {
        (Some(target), Ok(input)) => quipu_fuzz::run(target, &input),
        (None, _) => eprintln!("there is no target {name}"),
        (_, Err(error)) => eprintln!("cannot read {file}: {error}"),
    }
}
