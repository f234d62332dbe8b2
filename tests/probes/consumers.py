"""Functions, queues and buckets for probes."""


class Consumers:
    def __init__(self, lab):
        self.lab = lab
