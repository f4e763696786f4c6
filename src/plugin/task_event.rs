//! What happened to a task, as Nomad's task event.

use crate::task::TaskEvent;

use super::clock;
use super::wire::driver::DriverTaskEvent;

/// For the streams of TaskEvents.
pub fn message(event: &TaskEvent) -> DriverTaskEvent {
    let annotations = event.what.annotations().into_iter().map(|(name, value)| (name.to_owned(), value));
    DriverTaskEvent {
        task_id: event.task_id.clone(),
        alloc_id: event.alloc_id.clone(),
        task_name: event.task_name.clone(),
        timestamp: Some(clock::timestamp(Some(event.at))).into(),
        message: event.what.words(),
        annotations: annotations.collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::abi::Abi;
    use crate::policy::event::Happening;
    use std::time::UNIX_EPOCH;

    #[test]
    fn an_event_names_its_task_and_time() {
        let what = Happening::Confined(Abi::MAX);
        let names = ["a/t/1", "a", "t"].map(str::to_owned);
        let [task_id, alloc_id, task_name] = names;
        let message = message(&TaskEvent { task_id, alloc_id, task_name, at: UNIX_EPOCH, what });
        assert_eq!((&*message.task_id, &*message.alloc_id, &*message.task_name), ("a/t/1", "a", "t"));
        assert!(message.timestamp.is_some() && message.message.starts_with("Confined"));
        assert_eq!(message.annotations["landlock_abi"], Abi::MAX.0.to_string());
    }
}
