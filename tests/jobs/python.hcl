# A Python virtual environment in the task's directory, and a program that runs in it.
variable "view" {
  default = "host"
}

job "python" {
  type = "batch"

  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-ec", "python3 -m venv --without-pip venv; exec venv/bin/python app.py"]
        view    = var.view
      }

      template {
        destination = "local/app.py"
        data        = <<-PYTHON
          import sys

          print("prefix:", sys.prefix)
          print("of its own:", sys.prefix != sys.base_prefix)
          try:
              open("/etc/passwd")
          except PermissionError as error:
              print("denied:", error.filename)
          except FileNotFoundError as error:
              print("missing:", error.filename)
        PYTHON
      }

      resources {
        cpu    = 2000
        memory = 128
      }
    }
  }
}
