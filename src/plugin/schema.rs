//! The options of the two configuration blocks: one list each, from which Nomad's HCL schema is made.

use super::wire::hclspec::{Attr, Default as Fallback, Literal, Object, Spec, spec::Block};

/// One option as an operator or a job author writes it.
pub struct Choice {
    pub name: &'static str,
    pub kind: Kind,
    pub unset: Unset,
    /// For a person, one line.
    pub doc: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bool,
    Number,
    Text,
    Texts,
}

/// What an option is when it is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unset {
    /// It must not be.
    Refused,
    Null,
    Bool(bool),
    Number(i64),
    Text(&'static str),
}

const fn choice(name: &'static str, kind: Kind, unset: Unset, doc: &'static str) -> Choice {
    Choice { name, kind, unset, doc }
}

pub const PLUGIN: &[Choice] = &[
    choice("unveil_defaults", Kind::Bool, Unset::Bool(true), "grant tasks the usual system paths"),
    choice("unveil_by_task", Kind::Bool, Unset::Bool(false), "let tasks use unveil; otherwise a task that does is refused"),
    choice("unveil_paths", Kind::Texts, Unset::Null, "mode:path entries granted to every task"),
    choice("landlock_min_abi", Kind::Number, Unset::Number(1), "Landlock ABI below which the node is undetected"),
    choice("state_dir", Kind::Text, Unset::Text("/run/nomad-driver-exec2"), "records of running tasks; root only, absolute"),
];

pub const TASK: &[Choice] = &[
    choice("command", Kind::Text, Unset::Refused, "absolute; or relative to the task directory; or a name, looked up in PATH"),
    choice("args", Kind::Texts, Unset::Null, "arguments of the command"),
    choice("unveil", Kind::Texts, Unset::Null, "mode:path entries; a leading ? makes a missing path no error"),
    choice("oom_score_adj", Kind::Number, Unset::Null, "-1000 to 1000; always written, 0 if unset"),
    choice("work_dir", Kind::Text, Unset::Null, "absolute, or relative to the task directory; NOMAD_TASK_DIR if unset"),
];

/// The schema of a block of `choices`.
pub fn object(choices: &[Choice]) -> Spec {
    let attributes = choices.iter().map(|choice| (choice.name.to_owned(), choice.spec())).collect();
    spec(Block::Object(Object { attributes, ..Default::default() }))
}

impl Choice {
    fn spec(&self) -> Spec {
        let attr = spec(Block::Attr(Attr {
            name: self.name.to_owned(),
            type_: self.kind.hcl().to_owned(),
            required: self.unset == Unset::Refused,
            ..Default::default()
        }));
        match self.unset.hcl() {
            None => attr,
            Some(value) => spec(Block::Default(Fallback {
                primary: Some(attr).into(),
                default: Some(spec(Block::Literal(Literal { value, ..Default::default() }))).into(),
                ..Default::default()
            })),
        }
    }
}

impl Kind {
    /// As an HCL type expression.
    fn hcl(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Number => "number",
            Kind::Text => "string",
            Kind::Texts => "list(string)",
        }
    }
}

impl Unset {
    /// As an HCL expression, where there is a value to write.
    fn hcl(self) -> Option<String> {
        match self {
            Unset::Refused | Unset::Null => None,
            Unset::Bool(value) => Some(value.to_string()),
            Unset::Number(value) => Some(value.to_string()),
            Unset::Text(value) => Some(format!("{value:?}")),
        }
    }
}

fn spec(block: Block) -> Spec {
    Spec { block: Some(block), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attr(spec: &Spec) -> (&str, &str, bool) {
        match &spec.block {
            Some(Block::Attr(attr)) => (&attr.name, &attr.type_, attr.required),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_become_attributes() {
        let spec = object(TASK);
        let Some(Block::Object(object)) = &spec.block else { panic!("{spec:?}") };
        assert_eq!(object.attributes.len(), TASK.len());
        assert_eq!(attr(&object.attributes["command"]), ("command", "string", true));
        assert_eq!(attr(&object.attributes["args"]), ("args", "list(string)", false));
        assert_eq!(attr(&object.attributes["oom_score_adj"]), ("oom_score_adj", "number", false));
    }

    #[test]
    fn a_default_wraps_a_named_attribute_and_a_literal() {
        let literal = |name: &str| {
            let spec = object(PLUGIN);
            let Some(Block::Object(object)) = &spec.block else { panic!("{spec:?}") };
            let Some(Block::Default(fallback)) = &object.attributes[name].block else { panic!("{name} has no default") };
            assert_eq!(attr(&fallback.primary).0, name);
            match &fallback.default.block {
                Some(Block::Literal(literal)) => literal.value.clone(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(literal("unveil_defaults"), "true");
        assert_eq!(literal("landlock_min_abi"), "1");
        assert_eq!(literal("state_dir"), "\"/run/nomad-driver-exec2\"");
    }
}
