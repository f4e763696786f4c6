# A work_dir of the node's: granted with everything, if the plugin's unveil_by_task is true.
job "work-dir-outside" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command  = "sh"
        args     = ["-c", "pwd; echo found >$NOMAD_ALLOC_ID && cat $NOMAD_ALLOC_ID && rm $NOMAD_ALLOC_ID; exec sleep infinity"]
        work_dir = "/var/tmp"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
