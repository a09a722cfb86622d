"""The place that emits an event which nobody emits yet: a hook of SQLAlchemy's."""

from __future__ import annotations

from qflow.authoring.render.reading import Module
from qflow.authoring.spec import Emitter


def emitter(module: Module, emitter: Emitter) -> str:
    """Return the function that a service calls once for its mapped class."""
    module.imports.take("typing", "Any")
    module.imports.take("qflow", "Event")
    module.roots.add("as_data")
    table, event = emitter.table, emitter.event
    return f'''def announce_{table}(model: type[Any]) -> None:
    """Send {event} for each row that the mapped class `model` adds to {table}.

    Call it once in your service, next to the class: `announce_{table}(User)`. The event goes out after
    the commit, with the columns as its data; a rollback announces nothing. A service that is killed
    between its commit and the sending sends nothing: where that matters, send the event yourself.
    """
    from sqlalchemy import event as hook
    from sqlalchemy import inspect
    from sqlalchemy.orm import Session, object_session

    @hook.listens_for(model, "after_insert")
    def remember(_mapper: Any, _connection: Any, row: Any) -> None:
        key = "-".join(map(str, inspect(row).mapper.primary_key_from_instance(row)))
        announced = Event("{event}", data=as_data(row), id=f"{table}-{{key}}")
        session = object_session(row)
        if session is not None:
            session.info.setdefault("{event}", []).append(announced)

    @hook.listens_for(Session, "after_commit")
    def announce(session: Session) -> None:
        if events := session.info.pop("{event}", []):
            app.send(events)

    @hook.listens_for(Session, "after_rollback")
    def forget(session: Session) -> None:
        session.info.pop("{event}", None)'''
