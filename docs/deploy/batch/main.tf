# AWS Batch on Fargate: compute environment, queue and job definition. Roles as in ../ecs/main.tf.

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
  type = string
}

variable "task_role_arn" {
  type = string
}

variable "execution_role_arn" {
  type = string
}

variable "subnets" {
  type = list(string)
}

variable "security_groups" {
  type = list(string)
}

variable "spot" {
  description = "Spot capacity costs less and may stop a task with two minutes' notice; the task is started again."
  type        = bool
  default     = true
}

resource "aws_batch_compute_environment" "refire" {
  name = "refire"
  type = "MANAGED"

  compute_resources {
    type               = var.spot ? "FARGATE_SPOT" : "FARGATE"
    max_vcpus          = 256
    subnets            = var.subnets
    security_group_ids = var.security_groups
  }
}

resource "aws_batch_job_queue" "refire" {
  name     = "refire"
  state    = "ENABLED"
  priority = 1

  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.refire.arn
  }
}

resource "aws_batch_job_definition" "refire" {
  name                  = "refire"
  type                  = "container"
  platform_capabilities = ["FARGATE"]

  parameters = {
    table      = "orders"
    checkpoint = "dynamodb://refire-runs/orders"
    tasks      = "1"
  }

  container_properties = jsonencode({
    image                  = var.image
    command                = ["run", "--table", "Ref::table", "--checkpoint", "Ref::checkpoint", "--tasks", "Ref::tasks", "--yes", "--json", "--log-format", "json"]
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    jobRoleArn             = var.task_role_arn
    executionRoleArn       = var.execution_role_arn
    resourceRequirements = [
      { type = "VCPU", value = "1" },
      { type = "MEMORY", value = "2048" },
    ]
  })

  retry_strategy {
    attempts = 10

    evaluate_on_exit {
      on_exit_code = "3"
      action       = "RETRY"
    }

    evaluate_on_exit {
      on_exit_code = "137"
      action       = "RETRY"
    }

    evaluate_on_exit {
      on_exit_code = "143"
      action       = "RETRY"
    }

    evaluate_on_exit {
      on_status_reason = "Host EC2*"
      action           = "RETRY"
    }

    evaluate_on_exit {
      on_reason = "*"
      action    = "EXIT"
    }
  }
}
