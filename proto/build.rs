//! Part of the build script: Rust for the messages beside this file, written to OUT_DIR/wire without protoc.

use protobuf_codegen::{Codegen, Customize};

/// The messages' runtime reflection is left out: it is larger than they are.
pub fn generate() {
    println!("cargo::rerun-if-changed=proto");
    Codegen::new()
        .pure()
        .include("proto")
        .inputs([
            "proto/base.proto",
            "proto/driver.proto",
            "proto/goplugin.proto",
            "proto/hclspec.proto",
            "proto/health.proto",
            "proto/stats.proto",
            "proto/status.proto",
            "proto/structs.proto",
            "proto/task.proto",
        ])
        .customize(Customize::default().lite_runtime(true))
        .cargo_out_dir("wire")
        .run_from_script();
}
