//! The plugin process as Nomad's agent meets it: the real binary, its handshake, and every call that needs no task.

use crate::common::{Need, Run, Scratch, abi, bin, outside, skip};
use std::io::{BufRead, BufReader, Read, pipe};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_executor::block_on;
use futures_util::StreamExt;
use grpcio::{CallOption, ChannelBuilder, Client, ClientSStreamReceiver, EnvBuilder, Environment, Error, Method, RpcStatus, RpcStatusCode};
use nomad_driver_exec2::plugin::methods::*;
use nomad_driver_exec2::plugin::wire::base::*;
use nomad_driver_exec2::plugin::wire::driver::fingerprint_response::HealthState;
use nomad_driver_exec2::plugin::wire::driver::*;
use nomad_driver_exec2::plugin::wire::health::HealthCheckRequest;
use nomad_driver_exec2::plugin::wire::task::network_isolation_spec::NetworkIsolationMode;
use nomad_driver_exec2::plugin::wire::task::{NetworkIsolationSpec, TaskConfig};
use nomad_driver_exec2::policy::abi::Abi;

const COOKIE: (&str, &str) = ("NOMAD_PLUGIN_MAGIC_COOKIE", "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255");

/// The plugin's command with nothing in its environment but `variables`.
fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(bin());
    command.env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn refused(variables: &[(&str, &str)]) -> Output {
    command(variables).output().unwrap()
}

/// A directory for one test's socket.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("exec2-plugin-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running plugin and a connection to it.
struct Plugin {
    child: Child,
    line: String,
    socket: PathBuf,
    client: Client,
    _environment: Arc<Environment>,
    _directory: Directory,
}

impl Plugin {
    fn start() -> Plugin {
        Plugin::start_with(&[], |_| ())
    }

    fn start_with(variables: &[(&str, &str)], change: impl FnOnce(&mut Command)) -> Plugin {
        let directory = Directory::new();
        let path = directory.0.to_str().unwrap();
        let mut command = command(&[&[COOKIE, ("PLUGIN_PROTOCOL_VERSIONS", "2"), ("PLUGIN_UNIX_SOCKET_DIR", path)], variables].concat());
        command.stderr(Stdio::null());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let socket = PathBuf::from(line.split('|').nth(3).unwrap_or_else(|| panic!("handshake {line:?}")));
        let environment = Arc::new(EnvBuilder::new().cq_count(1).build());
        let client = connect(&environment, &socket);
        Plugin { child, line, socket, client, _environment: environment, _directory: directory }
    }

    fn call<Q: Default, R: Unpin>(&self, method: &Method<Q, R>, request: Q) -> Result<R, RpcStatus> {
        let option = CallOption::default().timeout(Duration::from_secs(10));
        match self.client.unary_call(method, &request, option) {
            Ok(answer) => Ok(answer),
            Err(Error::RpcFailure(status)) => Err(status),
            Err(error) => panic!("{}: {error}", method.name),
        }
    }

    fn ask<Q: Default, R: Unpin>(&self, method: &Method<Q, R>) -> R {
        self.call(method, Q::default()).unwrap()
    }

    fn set_config(&self, msgpack: &[u8]) -> Result<SetConfigResponse, RpcStatus> {
        self.call(&SET_CONFIG, SetConfigRequest { msgpack_config: msgpack.to_vec(), ..Default::default() })
    }

    fn fingerprints(&self) -> ClientSStreamReceiver<FingerprintResponse> {
        self.client.server_streaming(&FINGERPRINT, &FingerprintRequest::default(), CallOption::default()).unwrap()
    }

    /// Asks the plugin to end, and waits until it has.
    fn shut_down(&mut self) -> ExitStatus {
        self.ask(&CONTROLLER_SHUTDOWN);
        self.child.wait().unwrap()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(environment: &Arc<Environment>, socket: &Path) -> Client {
    Client::new(ChannelBuilder::new(environment.clone()).connect(&format!("unix:{}", socket.display())))
}

#[test]
fn strangers_are_turned_away() {
    for variables in [&[] as &[(&str, &str)], &[(COOKIE.0, "wrong")]] {
        let output = refused(variables);
        assert_eq!(output.status.code(), Some(1), "{variables:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn terms_that_cannot_be_met_are_refused_in_words() {
    let table = [
        (("PLUGIN_CLIENT_CERT", "-----BEGIN"), "PLUGIN_CLIENT_CERT is set"),
        (("PLUGIN_PROTOCOL_VERSIONS", "1,3"), "PLUGIN_PROTOCOL_VERSIONS is \"1,3\""),
        (("PLUGIN_UNIX_SOCKET_DIR", "/nonexistent"), "PLUGIN_UNIX_SOCKET_DIR /nonexistent: No such file or directory"),
        (("PLUGIN_UNIX_SOCKET_GROUP", "no such group"), "no such group in /etc/group"),
    ];
    for (variable, reason) in table {
        let output = refused(&[COOKIE, variable]);
        assert_eq!(output.status.code(), Some(1), "{variable:?}");
        assert!(output.stdout.is_empty());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn the_handshake_names_a_socket_of_the_owner_alone() {
    let mut plugin = Plugin::start();
    assert_eq!(plugin.line, format!("1|2|unix|{}|grpc|\n", plugin.socket.display()));
    let metadata = std::fs::metadata(&plugin.socket).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let status = plugin.shut_down();
    assert!(status.success(), "{status}");
    assert!(!plugin.socket.exists());
}

#[test]
fn the_socket_goes_where_it_is_asked_for_and_to_the_group() {
    let directory = Directory::new();
    let path = directory.0.to_str().unwrap();
    let plugin = Plugin::start_with(
        &[("PLUGIN_UNIX_SOCKET_DIR", path), ("PLUGIN_UNIX_SOCKET_GROUP", "0"), ("PLUGIN_MULTIPLEX_GRPC", "true")],
        |_| (),
    );
    assert!(plugin.socket.starts_with(path));
    let metadata = std::fs::metadata(&plugin.socket).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o777, metadata.gid()), (0o660, 0));
    assert!(plugin.line.ends_with("|grpc||false\n"));
}

/// Growing it later, with threads, stops a start for a grace period.
#[test]
fn the_table_of_descriptors_is_large_from_the_start() {
    let plugin = Plugin::start();
    let proc = format!("/proc/{}", plugin.child.id());
    let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
    let size: usize = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap().trim().parse().unwrap();
    let open = std::fs::read_dir(format!("{proc}/fd")).unwrap().count();
    let allowed = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(size as u64 >= allowed.min(4096) && open < 32, "{size}, {open}, of {allowed}");
}

#[test]
fn the_launches_of_an_agent_start() {
    let plugin = Plugin::start();
    let info = plugin.ask(&PLUGIN_INFO);
    assert_eq!((info.type_, info.name.as_str()), (PluginType::DRIVER.into(), "exec2"));
    assert_eq!(
        (info.plugin_version.as_str(), info.plugin_api_versions),
        (concat!("v", env!("CARGO_PKG_VERSION")), vec!["v0.1.0".to_owned()])
    );
    let schema = plugin.ask(&CONFIG_SCHEMA).spec.unwrap();
    assert!(["unveil_paths", "allow_caps", "state_dir"].iter().all(|name| schema.object().attributes.contains_key(*name)));
    let again = [plugin.set_config(b"\x81\xaeunveil_by_task\xc3"), plugin.set_config(b"\x81\xaeunveil_by_task\xc3")];
    assert!(again.iter().all(Result::is_ok));
    assert!(plugin.ask(&TASK_CONFIG_SCHEMA).spec.object().attributes["command"].attr().required);
    let capabilities = plugin.ask(&CAPABILITIES).capabilities;
    assert!(capabilities.send_signals && capabilities.dynamic_workload_users && capabilities.exec);
    plugin.ask(&INIT);
    plugin.ask(&SHUTDOWN);
    let health = HealthCheckRequest { service: "plugin".to_owned(), ..Default::default() };
    assert_eq!(plugin.call(&HEALTH_CHECK, health).unwrap().status.value(), 1);
}

#[test]
fn fingerprints_come_at_once_and_on_a_change() {
    needs!(Need::Task, Need::Controller("cpuset"), Need::Controller("cpu"), Need::Controller("memory"), Need::Controller("pids"));
    let plugin = Plugin::start();
    let mut stream = plugin.fingerprints();
    let mut next = || block_on(stream.next()).unwrap().unwrap();
    let first = next();
    assert_eq!(first.health, HealthState::HEALTHY.into(), "{}", first.health_description);
    let by_task = |answer: &FingerprintResponse| answer.attributes["driver.exec2.unveil.tasks"].bool_val();
    assert!(!by_task(&first));
    plugin.set_config(b"\x81\xaeunveil_by_task\xc3").unwrap();
    assert!(by_task(&next()));
}

/// What a node lacks first is said, then what it is next, or that it lacks nothing more.
#[test]
fn a_node_that_lacks_something_says_what() {
    needs!(Need::Task);
    if abi() >= Abi::MAX.0 {
        return skip("program::plugin::a_node_that_lacks_something_says_what", "this kernel has all that an operator can ask for");
    }
    let plugin = Plugin::start();
    plugin.set_config(&[b"\x81\xb0landlock_min_abi".as_slice(), &[Abi::MAX.0 as u8]].concat()).unwrap();
    let mut stream = plugin.fingerprints();
    let mut next = || block_on(stream.next()).unwrap().unwrap();
    let first = next();
    assert_eq!(first.health, HealthState::UNDETECTED.into());
    assert_eq!(first.health_description, format!("Landlock ABI {} of this kernel is below landlock_min_abi = {}", abi(), Abi::MAX.0));
    assert!(first.attributes.is_empty());
    plugin.set_config(b"\x80").unwrap();
    let second = next();
    assert_ne!(second.health_description, first.health_description);
    assert_eq!(second.attributes.is_empty(), second.health != HealthState::HEALTHY.into());
}

#[test]
fn a_plugin_that_is_not_root_says_so() {
    let scratch = Scratch::new();
    let plugin = Plugin::start_with(&[("PLUGIN_UNIX_SOCKET_DIR", &scratch.to_string())], |command| {
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
    });
    let first = block_on(plugin.fingerprints().next()).unwrap().unwrap();
    assert_eq!((first.health, first.health_description.as_str()), (HealthState::UNDETECTED.into(), "Driver must run as root"));
    assert!(first.attributes.is_empty());
}

#[test]
fn a_bad_configuration_is_refused_by_name() {
    let plugin = Plugin::start();
    let table: [(&[u8], &str); 3] = [
        (b"\x81\xacunveil_paths\x91\xa3r:x", "SetConfig failed: unveil_paths[0]: unveil \"r:x\": the path is not absolute"),
        (b"\x81\xa9state_dir\xa1x", "SetConfig failed: state_dir: \"x\" is not an absolute path"),
        (b"\x81\xa9state", "SetConfig failed: malformed msgpack: "),
    ];
    for (msgpack, reason) in table {
        let status = plugin.set_config(msgpack).unwrap_err();
        assert_eq!(status.code(), RpcStatusCode::UNKNOWN);
        assert!(status.message().starts_with(reason), "{}", status.message());
    }
    plugin.ask(&PLUGIN_INFO);
}

#[test]
fn a_message_may_exceed_the_default_limit() {
    let plugin = Plugin::start();
    let megabytes = 6 << 20;
    let mut msgpack = b"\x81\xa7unknown\xdb".to_vec();
    msgpack.extend((megabytes as u32).to_be_bytes());
    msgpack.resize(msgpack.len() + megabytes, b'x');
    plugin.set_config(&msgpack).unwrap();
}

fn id(status: Result<impl Sized, RpcStatus>) -> (RpcStatusCode, String) {
    let status = status.err().unwrap();
    (status.code(), status.message().to_owned())
}

#[test]
fn an_unknown_task_is_answered_as_the_client_expects() {
    let plugin = Plugin::start();
    plugin.call(&STOP_TASK, StopTaskRequest { task_id: "x".to_owned(), ..Default::default() }).unwrap();
    plugin.call(&DESTROY_TASK, DestroyTaskRequest { task_id: "x".to_owned(), ..Default::default() }).unwrap();
    plugin.call(&SIGNAL_TASK, SignalTaskRequest { task_id: "x".to_owned(), signal: "SIGHUP".to_owned(), ..Default::default() }).unwrap();
    let wait = plugin.call(&WAIT_TASK, WaitTaskRequest { task_id: "x".to_owned(), ..Default::default() });
    assert_eq!(id(wait), (RpcStatusCode::UNKNOWN, "task does not exist: x".to_owned()));
    let inspect = plugin.call(&INSPECT_TASK, InspectTaskRequest { task_id: "x".to_owned(), ..Default::default() });
    assert_eq!(id(inspect), (RpcStatusCode::UNKNOWN, "task not found for given id".to_owned()));
    let signal = plugin.call(&SIGNAL_TASK, SignalTaskRequest { signal: "SIGNONE".to_owned(), ..Default::default() });
    assert_eq!(id(signal).0, RpcStatusCode::UNKNOWN);
}

#[test]
fn a_task_that_asks_for_more_than_there_is_is_refused_in_words() {
    let plugin = Plugin::start();
    let mut task = TaskConfig { id: "a/t/1".to_owned(), msgpack_driver_config: b"\x81\xa7command\xa4/bin".to_vec(), ..Default::default() };
    task.network_isolation_spec =
        Some(NetworkIsolationSpec { mode: NetworkIsolationMode::TASK.into(), path: "/x".to_owned(), ..Default::default() }).into();
    let start = plugin.call(&START_TASK, StartTaskRequest { task: Some(task).into(), ..Default::default() });
    let (code, message) = id(start);
    assert_eq!(code, RpcStatusCode::UNKNOWN);
    assert!(message.starts_with("network_isolation_spec: mode TASK is not supported"), "{message}");
    assert_eq!(id(plugin.call(&START_TASK, StartTaskRequest::default())).0, RpcStatusCode::UNKNOWN);
}

#[test]
fn what_this_driver_does_not_do_says_so() {
    let plugin = Plugin::start();
    let calls = [
        id(plugin.call(&CREATE_NETWORK, CreateNetworkRequest::default())),
        id(plugin.call(&DESTROY_NETWORK, DestroyNetworkRequest::default())),
    ];
    for (code, message) in calls {
        assert_eq!(code, RpcStatusCode::UNIMPLEMENTED, "{message}");
        assert!(message.contains("not supported by this version"), "{message}");
    }
    let (code, message) = id(plugin.call(&RECOVER_TASK, RecoverTaskRequest::default()));
    assert_eq!((code, message.as_str()), (RpcStatusCode::UNKNOWN, "RecoverTask: the handle has no task"));
}

#[test]
fn streams_stay_open_and_do_not_hinder_the_end() {
    let mut plugin = Plugin::start();
    let open = || CallOption::default().timeout(Duration::from_millis(300));
    let mut events = plugin.client.server_streaming(&TASK_EVENTS, &TaskEventsRequest::default(), open()).unwrap();
    let mut stdio = plugin.client.server_streaming(&STDIO_STREAM, &Default::default(), open()).unwrap();
    let (_sender, mut broker) = plugin.client.duplex_streaming(&BROKER_START_STREAM, open()).unwrap();
    let ends = [block_on(events.next()).unwrap().err(), block_on(stdio.next()).unwrap().err(), block_on(broker.next()).unwrap().err()];
    for end in ends {
        // The client's own deadline, and nothing before it.
        assert!(matches!(&end, Some(Error::RpcFailure(status)) if status.code() == RpcStatusCode::DEADLINE_EXCEEDED), "{end:?}");
    }
    let _events = plugin.client.server_streaming(&TASK_EVENTS, &TaskEventsRequest::default(), CallOption::default()).unwrap();
    let _fingerprints = plugin.client.server_streaming(&FINGERPRINT, &FingerprintRequest::default(), CallOption::default()).unwrap();
    let _broker = plugin.client.duplex_streaming(&BROKER_START_STREAM, CallOption::default()).unwrap();
    assert!(plugin.shut_down().success());
}

#[test]
fn an_agent_may_come_back() {
    let plugin = Plugin::start();
    plugin.ask(&PLUGIN_INFO);
    let environment = Arc::new(EnvBuilder::new().cq_count(1).build());
    let second = connect(&environment, &plugin.socket);
    assert_eq!(second.unary_call(&PLUGIN_INFO, &PluginInfoRequest::default(), CallOption::default()).unwrap().name, "exec2");
    drop(second);
    plugin.ask(&PLUGIN_INFO);
}

#[test]
fn an_interrupt_is_swallowed_and_termination_is_not() {
    let mut plugin = Plugin::start();
    let pid = rustix::process::Pid::from_child(&plugin.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    plugin.ask(&PLUGIN_INFO);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(plugin.child.wait().unwrap().signal(), Some(15));
}

#[test]
fn nobody_needs_to_read_the_log() {
    // Full: nobody reads it. Gone: its reader has vanished, as after a crash of the agent.
    let (mut full, full_writer) = pipe().unwrap();
    let (gone, gone_writer) = pipe().unwrap();
    drop(gone);
    for writer in [full_writer, gone_writer] {
        let mut plugin = Plugin::start_with(&[("RUST_LOG", "trace")], |command| {
            command.stderr(writer);
        });
        for _ in 0..1000 {
            plugin.set_config(&[0x80]).unwrap();
        }
        assert!(plugin.shut_down().success());
    }
    let mut text = Vec::new();
    full.read_to_end(&mut text).unwrap();
    // Of the pipe's 64 KiB: a pipe takes no more where it has no empty page, and the last line of each page leaves some of it.
    assert!(text.len() > 50_000, "it was not full: {} bytes", text.len());
}

#[test]
fn log_lines_are_what_the_agent_parses() {
    let (mut log, writer) = pipe().unwrap();
    let mut plugin = Plugin::start_with(&[], |command| {
        command.stderr(writer);
    });
    plugin.set_config(&[0x80]).unwrap();
    assert!(plugin.shut_down().success());
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    assert!(!text.is_empty());
    for line in text.lines() {
        let fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(fields.values().all(serde_json::Value::is_string), "{line}");
        assert!(["trace", "debug", "info", "warn", "error"].contains(&fields["@level"].as_str().unwrap()));
        let (date, fraction) = fields["@timestamp"].as_str().unwrap().split_once('.').unwrap();
        assert!(date.len() == 19 && fraction.len() == 7 && fraction.ends_with('Z'), "{line}");
        assert!(fields.contains_key("@message") && fields.contains_key("@module"));
    }
}

#[test]
fn no_task_sees_the_socket() {
    needs!(Need::Task);
    let plugin = Plugin::start_with(&[("PLUGIN_UNIX_SOCKET_DIR", "")], |_| ());
    let parent = plugin.socket.parent().unwrap();
    assert_eq!(parent, Path::new("/run/nomad-driver-exec2/.sockets"));
    assert_eq!(std::fs::metadata(parent).unwrap().permissions().mode() & 0o777, 0o700);
    let attempts = [format!("connect {}", plugin.socket.display()), "list /run".into(), "entries /run/nomad-driver-exec2".into()];
    let control = outside(&attempts);
    assert!(control[..2] == ["ok", "ok"] && control[2] != "0", "{control:?}");
    for view in ["host", "private"] {
        assert_eq!(Run::root().option("--view", view).unveil("rwxc", "/run").probe(&attempts), ["ENOENT", "ok", "0"], "{view}");
    }
    assert_eq!(Run::root().unveil("rx", "/").probe(&attempts), ["ENOENT", "ok", "0"]);
}

#[test]
fn a_directory_that_is_open_to_others_is_refused() {
    needs!(Need::Task);
    let directory = Directory::new();
    for (mode, owner) in [(0o701, 0), (0o700, 65534)] {
        std::fs::set_permissions(&directory.0, std::fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&directory.0, Some(owner), None).unwrap();
        let output = refused(&[COOKIE, ("PLUGIN_UNIX_SOCKET_DIR", directory.0.to_str().unwrap())]);
        assert_eq!(output.status.code(), Some(1), "{mode:o} {owner}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("it is open to others"), "{output:?}");
    }
}

/// Whether a process that does `change` first, and then connects to `socket`, is served: the server's first bytes reach it.
fn is_served(socket: &Path, change: fn() -> i32) -> bool {
    // SAFETY: zeros are an address without a name.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as u16;
    // It may have another root by then: the socket has its name there, too.
    for (to, from) in address.sun_path.iter_mut().zip(socket.file_name().unwrap().as_encoded_bytes()) {
        *to = *from as libc::c_char;
    }
    let mut command = Command::new("true");
    command.current_dir(socket.parent().unwrap());
    let attempt = move || {
        // SAFETY: system calls on locals; the process of its own does nothing else, and ends.
        unsafe {
            if change() != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // In a new pid namespace is who is started from now on.
            let child = libc::fork();
            if child == 0 {
                let (fd, mut byte) = (libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0), 0u8);
                let size = size_of::<libc::sockaddr_un>() as u32;
                let connected = libc::connect(fd, (&raw const address).cast(), size) == 0;
                libc::_exit(if connected { libc::read(fd, (&raw mut byte).cast(), 1) as i32 & 3 } else { 9 });
            }
            let mut status = 0;
            libc::waitpid(child, &mut status, 0);
            // To the parent as an error: there is no other way from here.
            Err(std::io::Error::from_raw_os_error(1000 + libc::WEXITSTATUS(status)))
        }
    };
    // SAFETY: see above.
    let ended = unsafe { command.pre_exec(attempt) }.spawn().unwrap_err();
    match ended.raw_os_error() {
        Some(1001) => true,
        // The end of what is to be read, or a reset.
        Some(1000 | 1003) => false,
        _ => panic!("{ended}"),
    }
}

#[test]
fn only_the_hosts_own_processes_are_served() {
    needs!(Need::Task);
    let plugin = Plugin::start();
    let change = |change: fn() -> i32| is_served(&plugin.socket, change);
    // SAFETY: system calls on constants.
    unsafe {
        assert!(change(|| 0));
        assert!(!change(|| libc::chroot(c".".as_ptr())));
        assert!(!change(|| libc::unshare(libc::CLONE_NEWPID)));
        // An agent that a service manager has started anew may have mounts of its own.
        assert!(change(|| libc::unshare(libc::CLONE_NEWNS)));
        std::fs::set_permissions(&plugin.socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        std::fs::set_permissions(plugin.socket.parent().unwrap(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(!change(|| libc::setuid(65534)));
    }
    let directory = Directory::new();
    let path = directory.0.to_str().unwrap();
    let plugin = Plugin::start_with(&[("PLUGIN_UNIX_SOCKET_DIR", path), ("PLUGIN_UNIX_SOCKET_GROUP", "65534")], |_| ());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    // SAFETY: as above.
    assert!(is_served(&plugin.socket, || unsafe { libc::setgid(65534) | libc::setuid(65534) }));
}
