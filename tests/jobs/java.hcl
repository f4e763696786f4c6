# A Java program, run from its source. The JVM sees the task's memory and CPU limits, and sizes its heap by them.
variable "view" {
  default = "host"
}

job "java" {
  type = "batch"

  group "group" {
    task "main" {
      driver = "exec2"

      # Debian's java has its configuration in /etc. Its cgroup's limits it finds by itself.
      config {
        command = "java"
        args    = ["-XshowSettings:system", "-XX:TieredStopAtLevel=1", "${NOMAD_TASK_DIR}/Limits.java"]
        unveil  = ["r:/etc/java-21-openjdk"]
        view    = var.view
      }

      template {
        destination = "local/Limits.java"
        data        = <<-JAVA
          class Limits {
              public static void main(String[] arguments) {
                  Runtime runtime = Runtime.getRuntime();
                  System.out.println("processors: " + runtime.availableProcessors());
                  System.out.println("heap: " + (runtime.maxMemory() >> 20) + " MiB at most");
              }
          }
        JAVA
      }

      resources {
        cpu    = 2000
        memory = 400
      }
    }
  }
}
