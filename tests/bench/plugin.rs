//! A plugin process as Nomad's agent runs it, and calls to it.

use crate::Bench;
use crate::driver::Driver;
use crate::machine::{PATIENCE, readable};
use futures_executor::block_on;
use futures_util::StreamExt;
use grpcio::{CallOption, ChannelBuilder, Client, EnvBuilder, Environment, Method};
use nomad_driver_exec2::plugin::methods::*;
use nomad_driver_exec2::plugin::wire::base::*;
use nomad_driver_exec2::plugin::wire::driver::FingerprintRequest;
use nomad_driver_exec2::plugin::wire::hclspec::{Spec, spec::Block};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use serde_json::{Map, Value, json};
use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, OnceLock};

const COOKIE: (&str, &str) = ("NOMAD_PLUGIN_MAGIC_COOKIE", "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255");

/// A running plugin and a connection to it. The process is killed when this is dropped.
pub struct Plugin {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    pub client: Client,
}

impl Plugin {
    /// Returns when PluginInfo has been answered.
    pub fn start(bench: &Bench, driver: &Driver) -> io::Result<Plugin> {
        let mut command = Command::new(&driver.path);
        command.env(COOKIE.0, COOKIE.1).env("PLUGIN_PROTOCOL_VERSIONS", "2").env("TMPDIR", &bench.scratch.0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or_else(|| io::Error::other("the plugin has no standard output"))?);
        let line = greeting(&mut stdout);
        let socket = line.as_ref().ok().and_then(|line| line.split('|').nth(3)).unwrap_or_default().to_string();
        let client = Client::new(ChannelBuilder::new(environment()).connect(&format!("unix:{socket}")));
        let plugin = Plugin { child, _stdout: stdout, client };
        if socket.is_empty() {
            return Err(io::Error::other(format!("the plugin's handshake is {:?}", line?)));
        }
        plugin.call(&PLUGIN_INFO, &PluginInfoRequest::default())?;
        Ok(plugin)
    }

    /// As [`Plugin::start`], and configured: every option of its schema, with the payload's directory unveiled and records below the
    /// scratch directory.
    pub fn configured(bench: &Bench, driver: &Driver) -> io::Result<Plugin> {
        let plugin = Plugin::start(bench, driver)?;
        let schema = plugin.call(&CONFIG_SCHEMA, &ConfigSchemaRequest::default())?;
        let ours = json!({
            "unveil_paths": [format!("rx:{}", bench.payload.dir().display())],
            "state_dir": bench.scratch.0.join(&driver.state),
        });
        let request = SetConfigRequest {
            msgpack_config: block(&schema.spec, &ours)?,
            nomad_config: Some(NomadConfig {
                driver: Some(NomadDriverConfig { topology: Some(topology()).into(), ..Default::default() }).into(),
                ..Default::default()
            })
            .into(),
            plugin_api_version: "v0.1.0".to_string(),
            ..Default::default()
        };
        plugin.call(&SET_CONFIG, &request)?;
        Ok(plugin)
    }

    /// One of each driver, configured.
    pub fn all(bench: &Bench) -> io::Result<Vec<Plugin>> {
        bench.drivers.iter().map(|driver| Plugin::configured(bench, driver)).collect()
    }

    /// Asks for the fingerprint, and waits for the first.
    pub fn fingerprint(&self) -> io::Result<()> {
        let mut stream = self.client.server_streaming(&FINGERPRINT, &FingerprintRequest::default(), patient()).map_err(io::Error::other)?;
        match block_on(stream.next()) {
            Some(answer) => answer.map(drop).map_err(io::Error::other),
            None => Err(io::Error::other("no fingerprint")),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As kill -9 does. It is reaped when dropped.
    pub fn crash(&self) -> io::Result<()> {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, Signal::KILL)?;
        rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        Ok(())
    }

    pub fn call<Q, R: Unpin>(&self, method: &Method<Q, R>, request: &Q) -> io::Result<R> {
        self.client.unary_call(method, request, patient()).map_err(|e| io::Error::other(format!("{}: {e}", method.name)))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn patient() -> CallOption {
    CallOption::default().timeout(PATIENCE)
}

fn greeting(stdout: &mut BufReader<ChildStdout>) -> io::Result<String> {
    let mut line = String::new();
    readable(stdout.get_ref(), "handshake of the plugin")?;
    stdout.read_line(&mut line)?;
    Ok(line)
}

/// One thread for all clients.
fn environment() -> Arc<Environment> {
    static SHARED: OnceLock<Arc<Environment>> = OnceLock::new();
    SHARED.get_or_init(|| Arc::new(EnvBuilder::new().cq_count(1).build())).clone()
}

/// msgpack of a configuration block as Nomad's client sends it: every option of the schema, as in `ours`, else its default, else nil.
/// What `ours` has beyond the schema is left out.
pub fn block(schema: &Spec, ours: &Value) -> io::Result<Vec<u8>> {
    let mut values = Map::new();
    for (name, spec) in &schema.object().attributes {
        let fallback = match &spec.block {
            Some(Block::Default(fallback)) => serde_json::from_str(&fallback.default.literal().value).unwrap_or(Value::Null),
            _ => Value::Null,
        };
        values.insert(name.clone(), ours.get(name).cloned().unwrap_or(fallback));
    }
    rmp_serde::to_vec(&values).map_err(io::Error::other)
}

/// Of this machine's CPUs, each 2000 MHz.
fn topology() -> ClientTopology {
    let core = |id| ClientTopologyCore { core_id: id, base_speed: 2000, max_speed: 2000, ..Default::default() };
    ClientTopology {
        node_ids: vec![0],
        distances: Some(ClientTopologySlit { dimension: 1, values: vec![10], ..Default::default() }).into(),
        cores: (0..crate::machine::cpus() as u32).map(core).collect(),
        ..Default::default()
    }
}
