# What a task sees: the files that it unveils, its own directories and its own processes.
job "confine" {
  type = "batch"

  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["${NOMAD_TASK_DIR}/look"]
        unveil  = ["r:/etc/os-release"]
      }

      template {
        destination = "local/look"
        data        = <<-SCRIPT
          cat /etc/os-release >/dev/null && echo os-release: read
          cat /etc/passwd >/dev/null 2>&1 || echo passwd: denied
          echo "tmp: $(mktemp)"
          set -- /proc/[0-9]* && echo "processes: $#"
          echo "no_new_privs: $(awk '/^NoNewPrivs/ { print $2 }' /proc/self/status)"
          echo "capabilities: $(awk '/^CapBnd/ { print $2 }' /proc/self/status)"
          echo "ignored: $(awk '/^SigIgn/ { print $2 }' /proc/self/status)"
          echo "oom_score_adj: $(cat /proc/self/oom_score_adj)"
          cat /proc/self/cgroup
        SCRIPT
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
