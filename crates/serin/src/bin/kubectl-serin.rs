//! The same program under the name by which kubectl finds its plugins: `kubectl serin …`.

fn main() -> std::process::ExitCode {
    serin::main()
}
