//! Compiled code on disk: a start compiles what is new, believes nothing that others could have
//! written, and needs none of it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
};

use nexum_engine::{CodeOrigins, LoadRequest};
use nexum_manifest::Setup;
use nexum_testkit::RpcServer;

use crate::world::{Module, Via, World, server};

const COMPILED: CodeOrigins = CodeOrigins {
    compiled: 1,
    kept: 0,
    shared: 0,
};
const KEPT: CodeOrigins = CodeOrigins {
    compiled: 0,
    kept: 1,
    shared: 0,
};

fn world(server: &RpcServer) -> World {
    World::over(server, Via::Ws).module(Module::fixture("counter"))
}

/// Runs the world's `counter` until it has had an event, and answers how the engine came by the
/// code of its modules.
async fn run(world: &World) -> CodeOrigins {
    let engine = world.start().await;
    let origins = engine.code_origins();
    engine.delivered("counter", 1).await;
    let ended = engine.stop().await;
    assert_eq!(ended.module("counter").failed, 0);
    world.forget("counter");
    origins
}

fn folder(world: &World) -> PathBuf {
    world.state_dir().join("code")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// The one file of a world that has run `counter`.
fn file(world: &World) -> PathBuf {
    let [file] = &files(&folder(world))[..] else {
        panic!("not one file: {:?}", files(&folder(world)));
    };
    file.clone()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_start_compiles_nothing() {
    let server = server(1).await;
    let world = world(&server)
        .module(Module::fixture("counter").named("again"))
        .module(Module::fixture("noop"));
    let first = CodeOrigins {
        compiled: 2,
        kept: 0,
        shared: 1,
    };
    assert_eq!(run(&world).await, first);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&folder(&world)), 0o700);
    let kept = files(&folder(&world));
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|file| mode(file) == 0o600));

    let second = CodeOrigins {
        compiled: 0,
        kept: 2,
        shared: 1,
    };
    assert_eq!(run(&world).await, second);

    // New bytes, and only they.
    let component = world.component("noop");
    let bytes = fs::read(&component).unwrap();
    // A custom section of the component, named "x".
    fs::write(&component, [&bytes[..], b"\x00\x02\x01x"].concat()).unwrap();
    let third = CodeOrigins {
        compiled: 1,
        kept: 1,
        shared: 1,
    };
    assert_eq!(run(&world).await, third);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_loaded_while_the_engine_runs_is_kept_too() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws);
    let request = LoadRequest {
        path: world.bundle(&Module::fixture("counter"), "elsewhere"),
        name: None,
        config: toml::Table::new(),
        digest: None,
    };
    let engine = world.start().await;
    engine.operator().load(request).await.unwrap();
    engine.stop().await;
    // One more than it can have handled.
    server.chain().mine(1);
    assert_eq!(run(&world).await, KEPT);
}

/// Whatever has become of a file, its component is compiled anew, and its code kept anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_was_written() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 8] = [
        ("a byte of the code is another one", |file| {
            let mut bytes = fs::read(file).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
        ("it is of another version of the form", |file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[7] += 1;
            fs::write(file, bytes).unwrap();
        }),
        ("it was torn", |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("it is empty", |file| fs::write(file, b"").unwrap()),
        ("its group can write it", |file| set_mode(file, 0o620)),
        ("others can read it", |file| set_mode(file, 0o604)),
        ("it is a link to a good file", |file| {
            let elsewhere = file.ancestors().nth(3).unwrap().join("elsewhere");
            fs::rename(file, &elsewhere).unwrap();
            symlink(elsewhere, file).unwrap();
        }),
        ("it is a pipe", |file| {
            fs::remove_file(file).unwrap();
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mkfifoat(rustix::fs::CWD, file, mode).unwrap();
        }),
    ];
    let foreign: (&str, Change) = ("it belongs to another user", |file| {
        chown(file, Some(OTHER_USER), None).unwrap();
    });
    let server = server(1).await;
    for (what, change) in changes.into_iter().chain(is_root().then_some(foreign)) {
        let world = world(&server);
        assert_eq!(run(&world).await, COMPILED, "{what}");
        let file = file(&world);
        let good = fs::read(&file).unwrap();
        change(&file);
        assert_eq!(run(&world).await, COMPILED, "{what}");
        assert!(fs::symlink_metadata(&file).unwrap().is_file(), "{what}");
        assert_eq!(fs::read(&file).unwrap(), good, "{what}");
        assert_eq!(run(&world).await, KEPT, "{what}");
    }
}

/// Good code, under the name of another component's.
#[tokio::test(flavor = "multi_thread")]
async fn code_of_another_component() {
    let server = server(1).await;
    let (one, other) = (world(&server), World::over(&server, Via::Ws));
    let other = other.module(Module::fixture("noop").named("counter"));
    run(&one).await;
    run(&other).await;
    fs::copy(file(&other), file(&one)).unwrap();
    assert_eq!(run(&one).await, COMPILED);
    assert_eq!(run(&one).await, KEPT);
}

/// A folder that others can get at is neither read nor written to, and the engine does without.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_to_be_trusted() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 3] = [
        ("its group can write to it", |folder| {
            set_mode(folder, 0o770);
        }),
        ("others can read it", |folder| set_mode(folder, 0o705)),
        ("it is a link to a good folder", |folder| {
            let elsewhere = folder.ancestors().nth(2).unwrap().join("elsewhere");
            fs::rename(folder, &elsewhere).unwrap();
            symlink(elsewhere, folder).unwrap();
        }),
    ];
    let foreign: (&str, Change) = ("it belongs to another user", |folder| {
        chown(folder, Some(OTHER_USER), None).unwrap();
    });
    let server = server(1).await;
    for (what, change) in changes.into_iter().chain(is_root().then_some(foreign)) {
        let world = world(&server);
        run(&world).await;
        change(&folder(&world));
        let before = fs::metadata(file(&world)).unwrap().modified().unwrap();
        assert_eq!(run(&world).await, COMPILED, "{what}");
        let after = fs::metadata(file(&world)).unwrap().modified().unwrap();
        assert_eq!(before, after, "{what}: the folder was written to");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_written_to() {
    let server = server(1).await;
    // A file stands where the folder would.
    let blocked = world(&server);
    run(&blocked).await;
    fs::remove_dir_all(folder(&blocked)).unwrap();
    fs::write(folder(&blocked), b"a file").unwrap();
    assert_eq!(run(&blocked).await, COMPILED);
    assert_eq!(fs::read(folder(&blocked)).unwrap(), b"a file");

    // A folder stands where the file would.
    let blocked = world(&server);
    run(&blocked).await;
    let file = file(&blocked);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(run(&blocked).await, COMPILED);
    assert_eq!(
        files(&folder(&blocked)),
        [file],
        "nothing is left beside it"
    );

    // No rights, but for the user who needs none.
    let blocked = world(&server);
    run(&blocked).await;
    fs::remove_dir_all(folder(&blocked)).unwrap();
    fs::create_dir(folder(&blocked)).unwrap();
    set_mode(&folder(&blocked), 0o500);
    assert_eq!(run(&blocked).await, COMPILED);
    assert_eq!(files(&folder(&blocked)).len(), usize::from(is_root()));
    set_mode(&folder(&blocked), 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_of_another_build_is_removed() {
    let server = server(1).await;
    let world = world(&server);
    run(&world).await;
    let file = file(&world);
    let name = file.file_name().unwrap().to_str().unwrap();
    let (component, _) = name.split_once('-').unwrap();
    let other = file.with_file_name(format!("{component}-{}.code", "0".repeat(32)));
    let stranger = file.with_file_name("README");
    fs::copy(&file, &other).unwrap();
    fs::write(&stranger, b"").unwrap();

    assert_eq!(run(&world).await, KEPT);
    let mut left = [file, stranger];
    left.sort();
    assert_eq!(files(&folder(&world)), left);
}

/// A check reads bundles, and neither needs nor leaves anything in the `state_dir`.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_keeps_nothing() {
    let server = server(1).await;
    let world = world(&server);
    run(&world).await;
    fs::remove_dir_all(folder(&world)).unwrap();
    let setup = Setup::load(&world.engine_file()).unwrap();
    nexum_engine::check(&setup).await.unwrap();
    assert!(!folder(&world).exists());
}

const OTHER_USER: u32 = 65_534;

/// Only root can give files away.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
