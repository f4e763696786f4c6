//! What an operator keeps a job from moving: the plugin's `forbid_by_task`.

/// A task option, and its safe value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    Seccomp,
    ProtectSystem,
    PidMode,
    IpcMode,
    OomScoreAdj,
    Ulimit,
    User,
    VolumeMount,
    DenialEvents,
}

impl Ceiling {
    const ALL: [(&'static str, Ceiling); 9] = [
        ("seccomp", Ceiling::Seccomp),
        ("protect_system", Ceiling::ProtectSystem),
        ("pid_mode", Ceiling::PidMode),
        ("ipc_mode", Ceiling::IpcMode),
        ("oom_score_adj", Ceiling::OomScoreAdj),
        ("ulimit", Ceiling::Ulimit),
        ("user", Ceiling::User),
        ("volume_mount", Ceiling::VolumeMount),
        ("denial_events", Ceiling::DenialEvents),
    ];
}

/// The plugin's `forbid_by_task`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceilings(Vec<Ceiling>);

impl Default for Ceilings {
    fn default() -> Ceilings {
        Ceilings(vec![Ceiling::Seccomp, Ceiling::ProtectSystem])
    }
}

impl Ceilings {
    /// The error is the index of the word that is none, and why.
    pub fn parse(words: &[String]) -> Result<Ceilings, (Option<usize>, String)> {
        let one = |(index, word): (usize, &String)| {
            let known = Ceiling::ALL.iter().find(|(name, _)| name == word);
            let names = || Ceiling::ALL.map(|(name, _)| name).join(", ");
            known
                .map(|(_, ceiling)| *ceiling)
                .ok_or_else(|| (Some(index), format!("{word:?} is no option that can be forbidden; there are {}", names())))
        };
        words.iter().enumerate().map(one).collect::<Result<_, _>>().map(Ceilings)
    }

    /// Each with its option, in one order however they were written.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, Ceiling)> {
        Ceiling::ALL.into_iter().filter(|(_, ceiling)| self.0.contains(ceiling))
    }
}
