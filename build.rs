//! Gives the addon the link arguments that napi-rs needs on each platform.

fn main() {
    napi_build::setup();
}
