//! Whether this node can run tasks, and what it offers them.

use std::collections::HashMap;

use crate::policy::abi::Abi;
use crate::policy::request::PluginOptions;
use crate::task::{self, Facts};

use super::wire::driver::FingerprintResponse;
use super::wire::driver::fingerprint_response::HealthState;
use super::wire::structs::{Attribute, attribute::Value};

/// Asks the node anew.
pub fn fingerprint(options: &PluginOptions) -> FingerprintResponse {
    report(options, task::prerequisites(options))
}

/// Without what tasks need the node has no attribute of the driver, only the reason.
fn report(options: &PluginOptions, node: Result<Facts, String>) -> FingerprintResponse {
    match node {
        Ok(facts) => FingerprintResponse {
            attributes: attributes(options, &facts),
            health: HealthState::HEALTHY.into(),
            health_description: "Healthy".to_owned(),
            ..Default::default()
        },
        Err(reason) => FingerprintResponse { health: HealthState::UNDETECTED.into(), health_description: reason, ..Default::default() },
    }
}

fn attributes(options: &PluginOptions, facts: &Facts) -> HashMap<String, Attribute> {
    let features = Abi::known(facts.landlock_abi).features().join(",");
    let values = [
        ("unveil.tasks", Value::BoolVal(options.unveil_by_task)),
        ("unveil.defaults", Value::BoolVal(options.unveil_defaults)),
        ("caps.allowlist", Value::StringVal(options.allow_caps.to_string())),
        ("landlock.abi", Value::IntVal(facts.landlock_abi.into())),
        ("version", Value::StringVal(env!("CARGO_PKG_VERSION").to_owned())),
        ("features", Value::StringVal(features)),
    ];
    let attribute = |(name, value)| (format!("driver.exec2.{name}"), Attribute { value: Some(value), ..Default::default() });
    values.map(attribute).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_node_names_what_it_offers() {
        let answer = report(&PluginOptions::default(), Ok(Facts { landlock_abi: 4 }));
        assert_eq!(answer.health, HealthState::HEALTHY.into());
        let value = |name: &str| answer.attributes[&format!("driver.exec2.{name}")].value.clone();
        assert_eq!(value("unveil.tasks"), Some(Value::BoolVal(false)));
        assert_eq!(value("unveil.defaults"), Some(Value::BoolVal(true)));
        assert_eq!(value("landlock.abi"), Some(Value::IntVal(4)));
        assert_eq!(value("features"), Some(Value::StringVal("refer,truncate,net".to_owned())));
        assert_eq!(value("caps.allowlist"), Some(Value::StringVal(PluginOptions::default().allow_caps.to_string())));
        assert_eq!(answer.attributes.len(), 6);
    }

    #[test]
    fn an_unfit_node_says_why_and_offers_nothing() {
        let answer = report(&PluginOptions::default(), Err("no cgroup v2".to_owned()));
        assert_eq!(answer.health, HealthState::UNDETECTED.into());
        assert_eq!(answer.health_description, "no cgroup v2");
        assert!(answer.attributes.is_empty() && answer.err.is_empty());
    }
}
