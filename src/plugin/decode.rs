//! What StartTask and SetConfig carry, as plain values. What can't be read is refused here, in words.

use crate::policy::request::{DeviceRequest, DnsRequest, HostRequest, MountRequest, TaskRequest};
use crate::policy::resources::{Compute, Resources};

use super::options;
use super::wire::base::{ClientTopology, ClientTopologyCore, NomadConfig};
use super::wire::task::network_isolation_spec::NetworkIsolationMode;
use super::wire::task::{DNSConfig, Device, Mount, NetworkIsolationSpec, Resources as WireResources, TaskConfig};

/// The request that a task's configuration stands for.
pub fn request(config: &TaskConfig) -> Result<TaskRequest, String> {
    if config.id.is_empty() {
        return Err("the task has no id".to_owned());
    }
    let resources = config.resources.as_ref();
    Ok(TaskRequest {
        id: config.id.clone(),
        name: config.name.clone(),
        alloc_id: config.alloc_id.clone(),
        options: options::task(&config.msgpack_driver_config).map_err(|error| error.to_string())?,
        env: config.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        user: config.user.clone(),
        alloc_dir: config.alloc_dir.clone(),
        stdout_path: config.stdout_path.clone(),
        stderr_path: config.stderr_path.clone(),
        resources: resources.map(reserved).unwrap_or_default(),
        cgroup: resources.map(|resources| resources.linux_resources.cpuset_cgroup.clone()).unwrap_or_default(),
        network: config.network_isolation_spec.as_ref().map_or(Ok(None), network)?,
        mounts: config.mounts.iter().map(mount).collect(),
        devices: config.devices.iter().map(device).collect(),
        dns: config.dns.as_ref().map(dns).unwrap_or_default(),
        host: config.network_isolation_spec.as_ref().map(host).unwrap_or_default(),
    })
}

fn dns(dns: &DNSConfig) -> DnsRequest {
    DnsRequest { servers: dns.servers.clone(), searches: dns.searches.clone(), options: dns.options.clone() }
}

/// The allocation's name, where it has an address of its own.
fn host(spec: &NetworkIsolationSpec) -> HostRequest {
    match spec.mode.enum_value() {
        Ok(NetworkIsolationMode::GROUP) => {
            HostRequest { name: spec.hosts_config.hostname.clone(), address: spec.hosts_config.address.clone() }
        }
        _ => HostRequest::default(),
    }
}

fn device(device: &Device) -> DeviceRequest {
    DeviceRequest {
        host_path: device.host_path.clone(),
        task_path: device.task_path.clone(),
        permissions: device.cgroup_permissions.clone(),
    }
}

fn mount(mount: &Mount) -> MountRequest {
    MountRequest {
        host_path: mount.host_path.clone(),
        task_path: mount.task_path.clone(),
        read_only: mount.readonly,
        propagation: mount.propagation_mode.clone(),
        selinux_label: mount.selinux_label.clone(),
    }
}

/// Unset messages read as zeros here, which stand for "not asked".
fn reserved(resources: &WireResources) -> Resources {
    let allocated = &resources.allocated_resources;
    Resources {
        cpu_shares: allocated.cpu.cpu_shares,
        memory_mb: allocated.memory.memory_mb,
        memory_max_mb: allocated.memory.memory_max_mb,
        cpuset_cpus: resources.linux_resources.cpuset_cpus.clone(),
    }
}

/// Path of the network namespace to join, if it is not the host's.
fn network(spec: &NetworkIsolationSpec) -> Result<Option<String>, String> {
    match spec.mode.enum_value() {
        Ok(NetworkIsolationMode::HOST) => Ok(None),
        Ok(NetworkIsolationMode::GROUP) if spec.path.starts_with('/') => Ok(Some(spec.path.clone())),
        Ok(NetworkIsolationMode::GROUP) => {
            Err(format!("network_isolation_spec: mode GROUP with the path {:?}, not an absolute one", spec.path))
        }
        Ok(mode) => Err(format!("network_isolation_spec: mode {mode:?} is not supported; Nomad passes bridge, cni and none as GROUP")),
        Err(number) => Err(format!("network_isolation_spec: mode {number} is unknown")),
    }
}

/// The node's compute, if `config` tells it. An agent that starts launches the plugin three times, and tells only the last of the three.
pub fn compute(config: &NomadConfig) -> Option<Compute> {
    config.driver.as_ref()?.topology.as_ref().map(total)
}

fn total(topology: &ClientTopology) -> Compute {
    // All cores count, also those that Nomad doesn't schedule on: that is how the client arrives at the node's total.
    let speed =
        |core: &ClientTopologyCore| [core.base_speed, core.max_speed, core.guess_speed].into_iter().find(|mhz| *mhz > 0).unwrap_or(0);
    let total_mhz = match topology.override_total_compute {
        0 => topology.cores.iter().map(speed).fold(0, u64::saturating_add),
        mhz => mhz,
    };
    Compute { total_mhz, cores: topology.cores.len() as u64 }
}

#[cfg(test)]
mod tests {
    use super::super::wire::base::NomadDriverConfig;
    use super::super::wire::task::{AllocatedCpuResources, AllocatedMemoryResources, AllocatedTaskResources, HostsConfig, LinuxResources};
    use super::*;

    fn config() -> TaskConfig {
        TaskConfig {
            id: "a/t/1".to_owned(),
            name: "t".to_owned(),
            msgpack_driver_config: b"\x81\xa7command\xa4/bin".to_vec(),
            ..Default::default()
        }
    }

    #[test]
    fn a_task_is_read() {
        let mut config = config();
        config.env.insert("B".to_owned(), "2".to_owned());
        config.env.insert("A".to_owned(), String::new());
        config.user = "nomad-80000".to_owned();
        config.resources = Some(WireResources {
            allocated_resources: Some(AllocatedTaskResources {
                cpu: Some(AllocatedCpuResources { cpu_shares: 100, ..Default::default() }).into(),
                memory: Some(AllocatedMemoryResources { memory_mb: 64, memory_max_mb: -1, ..Default::default() }).into(),
                ..Default::default()
            })
            .into(),
            linux_resources: Some(LinuxResources {
                cpuset_cpus: "1,3".to_owned(),
                cpuset_cgroup: "/sys/fs/cgroup/x.scope".to_owned(),
                ..Default::default()
            })
            .into(),
            ..Default::default()
        })
        .into();
        let request = request(&config).unwrap();
        assert_eq!(request.options.command, "/bin");
        assert_eq!(request.user, "nomad-80000");
        assert_eq!(request.env.into_iter().map(|(name, value)| name + &value).collect::<Vec<_>>(), ["A", "B2"]);
        assert_eq!(request.resources, Resources { cpu_shares: 100, memory_mb: 64, memory_max_mb: -1, cpuset_cpus: "1,3".to_owned() });
        assert_eq!(request.cgroup, "/sys/fs/cgroup/x.scope");
        assert_eq!(request.network, None);
    }

    #[test]
    fn mounts_and_devices_are_read() {
        let mut config = config();
        config.mounts.push(Mount {
            host_path: "/srv/db".to_owned(),
            task_path: "/db".to_owned(),
            readonly: true,
            propagation_mode: "private".to_owned(),
            selinux_label: "Z".to_owned(),
            ..Default::default()
        });
        let want = MountRequest {
            host_path: "/srv/db".into(),
            task_path: "/db".into(),
            read_only: true,
            propagation: "private".into(),
            selinux_label: "Z".into(),
        };
        assert_eq!(request(&config).unwrap().mounts, [want]);
        config.devices.push(Device {
            host_path: "/dev/kvm".to_owned(),
            task_path: "/dev/k".to_owned(),
            cgroup_permissions: "rw".to_owned(),
            ..Default::default()
        });
        let want = DeviceRequest { host_path: "/dev/kvm".into(), task_path: "/dev/k".into(), permissions: "rw".into() };
        assert_eq!(request(&config).unwrap().devices, [want]);
    }

    #[test]
    fn what_is_missing_reads_as_nothing_asked() {
        let request = request(&config()).unwrap();
        assert_eq!(request.resources, Resources::default());
        assert_eq!((request.cgroup.as_str(), request.network), ("", None));
    }

    fn refusal(change: impl FnOnce(&mut TaskConfig)) -> String {
        let mut config = config();
        change(&mut config);
        request(&config).unwrap_err()
    }

    #[test]
    fn what_a_task_can_not_do_without() {
        assert_eq!(refusal(|config| config.id.clear()), "the task has no id");
        assert_eq!(refusal(|config| config.msgpack_driver_config.clear()), "command: it is missing or empty");
    }

    #[test]
    fn names_are_read() {
        let mut config = config();
        config.dns =
            Some(DNSConfig { servers: vec!["192.0.2.1".to_owned()], searches: vec!["a.test".to_owned()], ..Default::default() }).into();
        let hosts_config = Some(HostsConfig { hostname: "web".to_owned(), address: "192.0.2.5".to_owned(), ..Default::default() }).into();
        config.network_isolation_spec = Some(NetworkIsolationSpec {
            mode: NetworkIsolationMode::GROUP.into(),
            path: "/run/netns/a".to_owned(),
            hosts_config,
            ..Default::default()
        })
        .into();
        let host = HostRequest { name: "web".into(), address: "192.0.2.5".into() };
        let read = request(&config).unwrap();
        assert_eq!(read.dns, DnsRequest { servers: vec!["192.0.2.1".into()], searches: vec!["a.test".into()], options: vec![] });
        assert_eq!(read.host, host);
        config.network_isolation_spec.as_mut().unwrap().mode = NetworkIsolationMode::HOST.into();
        assert_eq!(request(&config).unwrap().host, HostRequest::default());
    }

    #[test]
    fn networks() {
        let spec = |mode: NetworkIsolationMode, path: &str| NetworkIsolationSpec {
            mode: mode.into(),
            path: path.to_owned(),
            ..Default::default()
        };
        assert_eq!(network(&spec(NetworkIsolationMode::GROUP, "/run/netns/a")), Ok(Some("/run/netns/a".to_owned())));
        assert_eq!(network(&spec(NetworkIsolationMode::HOST, "")), Ok(None));
        assert!(network(&spec(NetworkIsolationMode::GROUP, "")).is_err());
        assert!(network(&spec(NetworkIsolationMode::TASK, "/x")).unwrap_err().contains("mode TASK"));
        assert!(network(&spec(NetworkIsolationMode::NONE, "")).is_err());
        let unknown = NetworkIsolationSpec { mode: protobuf::EnumOrUnknown::from_i32(9), ..Default::default() };
        assert_eq!(network(&unknown), Err("network_isolation_spec: mode 9 is unknown".to_owned()));
    }

    #[test]
    fn compute_is_the_override_or_the_sum_of_the_cores() {
        let core = |base_speed, max_speed, guess_speed| ClientTopologyCore { base_speed, max_speed, guess_speed, ..Default::default() };
        let mut topology = ClientTopology {
            cores: vec![core(2000, 3000, 1), core(0, 3000, 1), ClientTopologyCore { disable: true, ..core(0, 0, 500) }, core(0, 0, 0)],
            ..Default::default()
        };
        assert_eq!(total(&topology), Compute { total_mhz: 5500, cores: 4 });
        topology.override_total_compute = 9000;
        assert_eq!(total(&topology), Compute { total_mhz: 9000, cores: 4 });

        let config = |topology: Option<ClientTopology>| NomadConfig {
            driver: Some(NomadDriverConfig { topology: topology.into(), ..Default::default() }).into(),
            ..Default::default()
        };
        assert_eq!(compute(&config(Some(topology))), Some(Compute { total_mhz: 9000, cores: 4 }));
        assert_eq!(compute(&config(None)), None);
        assert_eq!(compute(&NomadConfig::default()), None);
    }
}
