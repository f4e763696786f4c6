//! One task under a plugin, with an allocation of its own.

use crate::Bench;
use crate::layout::{Allocation, TASK};
use crate::machine::PATIENCE;
use crate::plugin::{Plugin, block, patient};
use crate::process;
use futures_executor::block_on;
use futures_util::{SinkExt, TryStreamExt};
use grpcio::{ClientSStreamReceiver, ClientUnaryReceiver, WriteFlags};
use nomad_driver_exec2::plugin::methods::*;
use nomad_driver_exec2::plugin::wire::driver::*;
use nomad_driver_exec2::plugin::wire::task::*;
use protobuf::well_known_types::duration::Duration as WireDuration;
use serde_json::json;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Instant;

/// The task is destroyed when this is dropped, whatever state it is in, and then its allocation.
pub struct Task<'a> {
    plugin: &'a Plugin,
    config: TaskConfig,
    handle: Option<TaskHandle>,
    alive: bool,
    pub allocation: Allocation,
}

impl<'a> Task<'a> {
    /// Everything up to StartTask.
    pub fn prepare(bench: &Bench, plugin: &'a Plugin, command: &Path) -> io::Result<Task<'a>> {
        let allocation = Allocation::create(&bench.scratch.0, &bench.slice)?;
        let schema = plugin.call(&TASK_CONFIG_SCHEMA, &TaskConfigSchemaRequest::default())?;
        let mut options = json!({ "command": command, "args": [] });
        if let Some(view) = &bench.arguments.view {
            options["view"] = json!(view);
        }
        let config = TaskConfig {
            id: format!("{}/{TASK}/00000001", allocation.alloc_id),
            name: TASK.to_string(),
            alloc_id: allocation.alloc_id.clone(),
            job_name: "bench".to_string(),
            task_group_name: "bench".to_string(),
            msgpack_driver_config: block(&schema.spec, &options)?,
            env: env(&allocation),
            user: "nomad-80001".to_string(),
            alloc_dir: text(&allocation.alloc_dir),
            stdout_path: text(&allocation.stdout),
            stderr_path: text(&allocation.stderr),
            resources: Some(resources(&allocation, bench.arguments.limits)).into(),
            ..Default::default()
        };
        Ok(Task { plugin, config, handle: None, alive: false, allocation })
    }

    /// One that sleeps until a signal ends it.
    pub fn park(bench: &Bench, plugin: &'a Plugin) -> io::Result<Task<'a>> {
        let mut task = Task::prepare(bench, plugin, &bench.payload.park)?;
        task.start()?;
        task.until_runs(&bench.payload.park)?;
        Ok(task)
    }

    pub fn start(&mut self) -> io::Result<()> {
        self.alive = true;
        let request = StartTaskRequest { task: Some(self.config.clone()).into(), ..Default::default() };
        self.handle = self.plugin.call(&START_TASK, &request)?.handle.into_option();
        Ok(())
    }

    /// Goes on with the task in another plugin.
    pub fn recover(&mut self, plugin: &'a Plugin) -> io::Result<()> {
        let request = RecoverTaskRequest { handle: self.handle.clone().into(), ..Default::default() };
        plugin.call(&RECOVER_TASK, &request)?;
        self.plugin = plugin;
        Ok(())
    }

    /// Runs `program` in the task, its streams here. When its first byte came.
    pub fn exec(&self, program: &Path, tty: bool) -> io::Result<Instant> {
        block_on(self.streamed(program, tty))
            .map_err(io::Error::other)?
            .ok_or_else(|| io::Error::other("the session ended otherwise than with 7"))
    }

    async fn streamed(&self, program: &Path, tty: bool) -> grpcio::Result<Option<Instant>> {
        let setup =
            exec_task_streaming_request::Setup { task_id: self.config.id.clone(), command: vec![text(program)], tty, ..Default::default() };
        let setup = ExecTaskStreamingRequest { setup: Some(setup).into(), ..Default::default() };
        let (mut requests, mut answers) = self.plugin.client.duplex_streaming(&EXEC_TASK_STREAMING, patient())?;
        requests.send((setup, WriteFlags::default())).await?;
        let mut byte = None;
        while let Some(answer) = answers.try_next().await? {
            if answer.stdout.as_ref().is_some_and(|stdout| !stdout.data.is_empty()) {
                byte.get_or_insert_with(Instant::now);
            }
            if answer.exited {
                return Ok(byte.filter(|_| answer.result.exit_code == 7));
            }
        }
        Ok(None)
    }

    /// Asks for the end; the answer comes with [`ended`].
    pub fn wait(&self) -> io::Result<ClientUnaryReceiver<WaitTaskResponse>> {
        let request = WaitTaskRequest { task_id: self.config.id.clone(), ..Default::default() };
        self.plugin.client.unary_call_async(&WAIT_TASK, &request, patient()).map_err(io::Error::other)
    }

    /// Waits for the end of one of the programs that exit with 7.
    pub fn ends_with_7(&self) -> io::Result<()> {
        let result = ended(self.wait()?)?;
        match (result.exit_code, result.signal) {
            (7, 0) => Ok(()),
            (code, signal) => Err(io::Error::other(format!("the task's exit code is {code}, its signal {signal}"))),
        }
    }

    /// Its statistics each second.
    pub fn stats(&self) -> io::Result<ClientSStreamReceiver<TaskStatsResponse>> {
        let second = WireDuration { seconds: 1, ..Default::default() };
        let request = TaskStatsRequest { task_id: self.config.id.clone(), collection_interval: Some(second).into(), ..Default::default() };
        self.plugin.client.server_streaming(&TASK_STATS, &request, patient()).map_err(io::Error::other)
    }

    /// SIGTERM, and SIGKILL long after. Returns when it is answered.
    pub fn stop(&self) -> io::Result<()> {
        let timeout = WireDuration { seconds: 20, ..Default::default() };
        let id = self.config.id.clone();
        let request = StopTaskRequest { task_id: id, timeout: Some(timeout).into(), signal: "SIGTERM".to_string(), ..Default::default() };
        self.plugin.call(&STOP_TASK, &request).map(drop)
    }

    pub fn is_running(&self) -> io::Result<bool> {
        let request = InspectTaskRequest { task_id: self.config.id.clone(), ..Default::default() };
        Ok(self.plugin.call(&INSPECT_TASK, &request)?.task.state == TaskState::RUNNING.into())
    }

    /// Stops a parked one, and destroys it.
    pub fn end(&mut self) -> io::Result<()> {
        let end = self.wait()?;
        self.stop()?;
        ended(end)?;
        self.destroy()
    }

    pub fn destroy(&mut self) -> io::Result<()> {
        self.alive = false;
        let request = DestroyTaskRequest { task_id: self.config.id.clone(), force: true, ..Default::default() };
        self.plugin.call(&DESTROY_TASK, &request).map(drop)
    }

    /// Waits until `program` runs in the task's cgroup: some drivers answer StartTask before that.
    pub fn until_runs(&self, program: &Path) -> io::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if process::members(&self.allocation.cgroup)?.iter().any(|pid| process::runs(*pid, program)) {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Err(io::Error::other(format!("{} does not run", program.display())))
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        if self.alive {
            let _ = self.destroy();
        }
    }
}

/// How the task ended, in a driver's words.
pub fn ended(answer: ClientUnaryReceiver<WaitTaskResponse>) -> io::Result<ExitResult> {
    let answer = block_on(answer).map_err(|e| io::Error::other(format!("{}: {e}", WAIT_TASK.name)))?;
    if answer.err.is_empty() { Ok(answer.result.unwrap_or_default()) } else { Err(io::Error::other(answer.err)) }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn env(allocation: &Allocation) -> HashMap<String, String> {
    let dirs = [("NOMAD_TASK_DIR", "local"), ("NOMAD_ALLOC_DIR", "alloc"), ("NOMAD_SECRETS_DIR", "secrets")];
    let dirs = dirs.map(|(name, dir)| (name.to_string(), text(&allocation.task_dir.join(dir))));
    dirs.into_iter().chain([("PATH".to_string(), "/usr/bin:/bin".to_string())]).collect()
}

fn resources(allocation: &Allocation, limits: bool) -> Resources {
    let (mhz, mib) = if limits { (500, 64) } else { (0, 0) };
    Resources {
        allocated_resources: Some(AllocatedTaskResources {
            cpu: Some(AllocatedCpuResources { cpu_shares: mhz, ..Default::default() }).into(),
            memory: Some(AllocatedMemoryResources { memory_mb: mib, ..Default::default() }).into(),
            ..Default::default()
        })
        .into(),
        linux_resources: Some(LinuxResources {
            cpuset_cgroup: text(&allocation.cgroup),
            memory_limit_bytes: mib << 20,
            cpu_shares: mhz,
            ..Default::default()
        })
        .into(),
        ..Default::default()
    }
}
