"""DynamoDB's expression language: condition, filter, key-condition, update and projection expressions.

How a request is served::

    placeholders = Placeholders(request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))
    update = compile_update(request["UpdateExpression"], placeholders, ("pk", "sk"))
    condition = compile_condition(request["ConditionExpression"], placeholders)
    placeholders.check_all_used()
    if condition.matches(item): changed = update.apply(item)

- One ``Placeholders`` per request: it validates names and values (values become canonical) and knows what is unused.
- ``compile_condition(text, placeholders, parameter="ConditionExpression") -> Condition``: ``matches(item | None)``,
  ``attributes``. Filters pass "FilterExpression" as ``parameter``.
- ``compile_update(text, placeholders, key_attributes) -> Update``: ``apply(item) -> new item``,
  ``changed_old(item | None)`` and ``changed_new(item)`` for UPDATED_OLD and UPDATED_NEW, ``attributes``,
  ``request_bytes``.
- ``compile_projection(text, placeholders) -> Projection``: ``apply(item) -> item``, ``attributes``.
  ``project_on(paths)`` makes one from plain paths.
- ``compile_key_condition(text, placeholders, hash_names, range_names) -> KeyCondition``: ``hashes``, ``equal``,
  ``range_operator``, ``range_values``, ``range_matches(value)``, ``check_types(types)``.

All raise ``ServiceError``, nearly always a ValidationException, with the service's words. Items and values must be
canonical (``sandbox.values``); nothing is ever changed in place. Syntax trees are cached by text.
"""

from refire_async.sandbox.expressions.condition import Condition, compile_condition
from refire_async.sandbox.expressions.key_condition import KeyCondition, compile_key_condition
from refire_async.sandbox.expressions.placeholders import Placeholders
from refire_async.sandbox.expressions.projection import Projection, compile_projection, project_on
from refire_async.sandbox.expressions.update import Update, compile_update

__all__ = [
    "Condition",
    "KeyCondition",
    "Placeholders",
    "Projection",
    "Update",
    "compile_condition",
    "compile_key_condition",
    "compile_projection",
    "compile_update",
    "project_on",
]
