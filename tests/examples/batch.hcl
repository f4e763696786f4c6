# A script that runs once: its input comes from a template (an artifact is written alike), its output goes to the log and to a
# directory that outlives the task.
job "batch" {
  type = "batch"

  group "report" {
    task "report" {
      driver = "exec2"

      # The task starts in `local`, so that the files there are named without a directory.
      config {
        command = "bash"
        args    = ["report.sh"]
      }

      template {
        destination = "local/report.sh"
        data        = <<-SCRIPT
          set -euo pipefail
          cut -d' ' -f1 access.log | sort | uniq -c | sort -rn >"$NOMAD_ALLOC_DIR/data/report"
          cat "$NOMAD_ALLOC_DIR/data/report"
        SCRIPT
      }

      template {
        destination = "local/access.log"
        data        = <<-LOG
          192.0.2.1 GET /
          192.0.2.7 GET /
          192.0.2.1 GET /about
        LOG
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
