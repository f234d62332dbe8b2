# Fargate: the task definition, its roles and its log. `terraform apply`, then `aws ecs run-task` for each run.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "image" {
  description = "The image of docs/deploy/Containerfile in a registry."
  type        = string
}

variable "table" {
  description = "The table whose items are touched."
  type        = string
}


variable "policy_json" {
  description = "What `refire iam-policy` prints for the table and the checkpoint table."
  type        = string
}

variable "wcu_percent" {
  description = "Share of the table's write capacity."
  type        = number
  default     = 80
}

data "aws_region" "here" {}

data "aws_iam_policy_document" "ecs_tasks" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "task" {
  name               = "refire-task"
  assume_role_policy = data.aws_iam_policy_document.ecs_tasks.json
}

resource "aws_iam_role_policy" "task" {
  name   = "refire"
  role   = aws_iam_role.task.id
  policy = var.policy_json
}

resource "aws_iam_role" "execution" {
  name               = "refire-execution"
  assume_role_policy = data.aws_iam_policy_document.ecs_tasks.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_cloudwatch_log_group" "refire" {
  name              = "/refire"
  retention_in_days = 30
}

resource "aws_ecs_task_definition" "refire" {
  family                   = "refire"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 1024
  memory                   = 2048
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([
    {
      name                   = "refire"
      image                  = var.image
      essential              = true
      user                   = "65532:65532"
      readonlyRootFilesystem = true
      stopTimeout            = 120
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      # The run's id, the number of tasks and the task come with each `run-task`, as options or as REFIRE_ variables.
      command = ["run", "--table", var.table, "--wcu-percent", tostring(var.wcu_percent), "--yes", "--json", "--log-format", "json"]
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          "awslogs-group"         = aws_cloudwatch_log_group.refire.name
          "awslogs-region"        = data.aws_region.here.name
          "awslogs-stream-prefix" = "run"
        }
      }
    }
  ])
}

output "task_definition" {
  value = aws_ecs_task_definition.refire.arn
}
