//! The BasePlugin service: what this plugin is, and how it is configured.

use crate::policy::request::PluginOptions;

use super::methods::{CONFIG_SCHEMA, PLUGIN_INFO, SET_CONFIG};
use super::reply::Answer;
use super::services::Services;
use super::state::{Plugin, Settings};
use super::wire::base::*;
use super::{decode, options, schema, status};

/// Driver name, as in a job's `driver = "exec2"`.
const NAME: &str = "exec2";
const API_VERSION: &str = "v0.1.0";

pub fn register(services: Services) -> Services {
    services.answer(&PLUGIN_INFO, info).answer(&CONFIG_SCHEMA, config_schema).answer(&SET_CONFIG, set_config)
}

fn info(_: &Plugin, _: PluginInfoRequest) -> Answer<PluginInfoResponse> {
    Ok(PluginInfoResponse {
        type_: PluginType::DRIVER.into(),
        plugin_api_versions: vec![API_VERSION.to_owned()],
        plugin_version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
        name: NAME.to_owned(),
        ..Default::default()
    })
}

fn config_schema(_: &Plugin, _: ConfigSchemaRequest) -> Answer<ConfigSchemaResponse> {
    Ok(ConfigSchemaResponse { spec: Some(schema::object(schema::PLUGIN)).into(), ..Default::default() })
}

/// Called again and again with the same options. The compute that one call told stays when a later one tells none.
fn set_config(plugin: &Plugin, request: SetConfigRequest) -> Answer<SetConfigResponse> {
    let options: PluginOptions =
        options::plugin(&request.msgpack_config).map_err(|error| status::unknown(format!("SetConfig failed: {error}")))?;
    let told = request.nomad_config.as_ref().and_then(decode::compute);
    let compute = told.unwrap_or(plugin.settings().compute);
    log::debug!("configured: {options:?}, {compute:?}");
    plugin.configure(Settings { options, compute });
    Ok(SetConfigResponse::default())
}
