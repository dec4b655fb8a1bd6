//! The program `quipu`.

fn main() -> std::process::ExitCode {
    quipu_cli::main()
}
