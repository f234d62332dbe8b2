"""A Lambda function that receives events, invoked synchronously as its event source mapping does."""

from refire_async.aws.errors import AwsError
from refire_async.aws.invocations import Invocations
from refire_async.delivery.target import Answer
from refire_async.delivery.targets.fates import invocation_error


class LambdaFunction:
    """A Target: one function at one qualifier."""

    def __init__(
        self,
        invocations: Invocations,
        function: str,
        qualifier: str | None = None,
        *,
        wants_array: bool = False,
    ) -> None:
        """`function` is a name or an ARN without qualifier. `wants_array`: it is the target of a Pipe."""
        self._invocations = invocations
        self._function = function
        self._qualifier = qualifier
        self.name = f"{function}:{qualifier}" if qualifier else function
        self.wants_array = wants_array

    async def invoke(self, event: bytes) -> Answer:
        """See Target."""
        try:
            answer = await self._invocations.invoke(self._function, self._qualifier, event)
        except AwsError as error:
            raise invocation_error(error) from error
        return Answer(answer.payload, answer.function_error, answer.log_tail, answer.version)
