//! Links the add-on as Node wants it, and so that it stays mapped: a worker thread that ends would otherwise
//! unload the code under the native threads that still wait in it.

fn main() {
    napi_build::setup();
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
