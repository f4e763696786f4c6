#[path = "build/init.rs"]
mod init;

fn main() {
    init::build();
}
