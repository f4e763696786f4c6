//! The Driver service, but for the calls about one task: what the driver can do.

use super::event::Event;
use super::methods::*;
use super::reply::Answer;
use super::schema;
use super::services::Services;
use super::state::Plugin;
use super::wire::driver::driver_capabilities::{FSIsolation, MountConfigs};
use super::wire::driver::*;
use super::wire::task::network_isolation_spec::NetworkIsolationMode;

pub fn register(services: Services) -> Services {
    services
        .answer(&INIT, |_, _| Ok(InitResponse::default()))
        // The plugin is about to be stopped. Tasks keep running, so there is nothing to do.
        .answer(&SHUTDOWN, |_, _| Ok(ShutdownResponse::default()))
        .answer(&TASK_CONFIG_SCHEMA, task_config_schema)
        .answer(&CAPABILITIES, capabilities)
        .hold(&FINGERPRINT, Event::Fingerprint)
        .hold(&TASK_EVENTS, Event::TaskEvents)
        .refuse(&CREATE_NETWORK)
        .refuse(&DESTROY_NETWORK)
}

fn task_config_schema(_: &Plugin, _: TaskConfigSchemaRequest) -> Answer<TaskConfigSchemaResponse> {
    Ok(TaskConfigSchemaResponse { spec: Some(schema::object(schema::TASK)).into(), ..Default::default() })
}

fn capabilities(_: &Plugin, _: CapabilitiesRequest) -> Answer<CapabilitiesResponse> {
    let modes = [NetworkIsolationMode::HOST, NetworkIsolationMode::GROUP, NetworkIsolationMode::NONE];
    let capabilities = DriverCapabilities {
        send_signals: true,
        exec: true,
        fs_isolation: FSIsolation::UNVEIL.into(),
        network_isolation_modes: modes.map(Into::into).to_vec(),
        must_create_network: false,
        // Volumes, and what device plugins mount.
        mount_configs: MountConfigs::ANY_MOUNTS.into(),
        disable_log_collection: false,
        dynamic_workload_users: true,
        ..Default::default()
    };
    Ok(CapabilitiesResponse { capabilities: Some(capabilities).into(), ..Default::default() })
}
