//! The program `serin`.

fn main() -> std::process::ExitCode {
    serin::main()
}
