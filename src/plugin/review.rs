//! The plugin's block as an agent's configuration has it, read by the same schema and the same code as when Nomad hands it over: but each
//! option by itself, so that all that is wrong is told at once.

use crate::policy::request::PluginOptions;
use serde_json::{Map, Value, json};

use super::options;
use super::schema::{Choice, Kind, PLUGIN};

/// What a block comes to.
#[derive(Debug)]
pub struct Review {
    /// With the default for whatever is wrong.
    pub options: PluginOptions,
    /// Options that are set and right: name and value, and what they mean.
    pub set: Vec<(String, &'static str)>,
    /// For each that is wrong one line, which names it.
    pub wrong: Vec<String>,
}

/// `block` is what stands in `config { ... }`.
pub fn review(block: &Map<String, Value>) -> Review {
    let (mut right, mut set, mut wrong) = (Map::new(), Vec::new(), Vec::new());
    for (name, written) in block {
        let Some(choice) = PLUGIN.iter().find(|choice| choice.name == name) else {
            wrong.push(format!("{name}: there is no such option"));
            continue;
        };
        let value = converted(choice, written);
        match read(&json!({ name: value })) {
            Ok(_) => {
                set.push((format!("{name} = {written}"), choice.doc));
                right.insert(name.clone(), value);
            }
            Err(reason) => wrong.push(reason),
        }
    }
    // Each was read before, and none depends on another.
    let options = read(&Value::Object(right)).unwrap_or_default();
    Review { options, set, wrong }
}

fn read(block: &Value) -> Result<PluginOptions, String> {
    let msgpack = rmp_serde::to_vec(block).map_err(|e| e.to_string())?;
    options::plugin(&msgpack).map_err(|e| e.to_string())
}

/// As Nomad converts what it finds to the schema's type: `"9"` is a number, where one is wanted. What can't be converted stays as it is.
fn converted(choice: &Choice, written: &Value) -> Value {
    let scalar = |kind: Kind, value: &Value| match (kind, value) {
        (Kind::Bool, Value::String(text)) => match text.as_str() {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => value.clone(),
        },
        (Kind::Number, Value::String(text)) => text.parse::<i64>().map_or(value.clone(), Value::from),
        (Kind::Text, Value::Bool(_) | Value::Number(_)) => value.to_string().into(),
        _ => value.clone(),
    };
    match (choice.kind, written) {
        (Kind::Texts, Value::Array(values)) => values.iter().map(|value| scalar(Kind::Text, value)).collect(),
        (Kind::Numbers, Value::Array(values)) => values.iter().map(|value| scalar(Kind::Number, value)).collect(),
        (kind, value) => scalar(kind, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reviewed(block: Value) -> Review {
        review(block.as_object().unwrap())
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let review = reviewed(json!({
            "max_pids": -1, "seccomp": "maybe", "unveil_by_tasks": true, "unveil_paths": ["r:/srv", "q:/x"], "state_dir": "run",
            "unveil_by_task": true, "allow_caps": "kill",
        }));
        let starts = ["allow_caps: ", "max_pids: ", "seccomp: ", "state_dir: ", "unveil_by_tasks: there is no", "unveil_paths[1]: "];
        assert_eq!(review.wrong.len(), starts.len(), "{:?}", review.wrong);
        for (wrong, start) in review.wrong.iter().zip(starts) {
            assert!(wrong.starts_with(start), "{wrong}");
        }
        assert_eq!(review.options, PluginOptions { unveil_by_task: true, ..PluginOptions::default() });
        assert_eq!(review.set.iter().map(|(set, _)| set.as_str()).collect::<Vec<_>>(), ["unveil_by_task = true"]);
    }

    #[test]
    fn values_are_converted_as_nomad_does() {
        let written =
            json!({"max_pids": "9", "unveil_defaults": "false", "denied_host_uids": 0, "denied_envvars": ["A", 1], "seccomp": null});
        let review = reviewed(written);
        assert_eq!(review.wrong, [""; 0]);
        let options = review.options;
        assert_eq!((options.max_pids, options.unveil_defaults, options.seccomp), (9, false, true));
        assert!(options.denied_host_uids.contains(0) && !options.denied_host_uids.contains(1));
        assert_eq!(options.denied_envvars, ["A", "1"]);
        assert_eq!(reviewed(json!({"max_pids": "many", "unveil_defaults": "no"})).wrong.len(), 2);
        assert_eq!(reviewed(json!({})).options, PluginOptions::default());
    }
}
