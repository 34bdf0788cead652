"""Drives a running server with kestrapy, Kestra's generated client, unchanged: every operation of its modules flows, executions, triggers,
kv and namespaces is called at least once, and what it answers has to parse into the client's models.

    python drive.py http://127.0.0.1:PORT [NAME PASSWORD]

Prints a JSON object for each operation: its module, name, method, path, type of answer, and how often it was called. Ends with a traceback
where an answer is not what it should be.
"""

import inspect
import json
import re
import sys
import time

import kestrapy
from kestrapy import (
    ApiAutocomplete,
    ApiSecretMetaEE,
    ApiSecretTag,
    ApiSecretValue,
    Backfill,
    ConcurrencyLimit,
    Configuration,
    DeleteTriggersByQueryRequest,
    ExecutionControllerSetLabelsByIdsRequest,
    ExecutionControllerStateRequest,
    ExecutionRepositoryInterfaceFlowFilter,
    FlowControllerTaskValidationType,
    IdWithNamespace,
    KestraClient,
    KVControllerApiDeleteBulkRequest,
    Label,
    Namespace,
    PluginDefault,
    QueryFilter,
    QueryFilterField,
    QueryFilterOp,
    StateType,
    Task,
    Trigger,
    TriggerControllerSetDisabledRequest,
)

TENANT = "main"
CLASSES = {
    "kv": "KVApi",
    "namespaces": "NamespacesApi",
    "flows": "FlowsApi",
    "triggers": "TriggersApi",
    "executions": "ExecutionsApi",
}
LOG = "io.kestra.plugin.core.log.Log"
SLEEP = "io.kestra.plugin.core.flow.Sleep"
NS = "drive"


class Module:
    """A module of the client that counts what is called of it."""

    def __init__(self, name, api):
        self.name, self.api, self.calls = name, api, {}

    def __getattr__(self, operation):
        method = getattr(self.api, operation)

        def call(*args, **kwargs):
            answer = method(*args, tenant=TENANT, **kwargs)
            if inspect.isgenerator(answer):
                answer = list(answer)
            self.calls[operation] = self.calls.get(operation, 0) + 1
            return answer

        return call

    def operations(self):
        """Every operation that the client has, as its own code says it."""
        cls = getattr(kestrapy, CLASSES[self.name])
        for name, function in inspect.getmembers(cls, inspect.isfunction):
            inner = getattr(cls, f"_{name}_serialize", None)
            if name.startswith("_") or inner is None:
                continue
            source = inspect.getsource(inner)
            yield {
                "module": self.name,
                "operation": name,
                "method": re.search(r"method='(\w+)'", source).group(1),
                "path": re.search(r"resource_path='([^']+)'", source).group(1),
                "answer": answer_type(inspect.signature(function).return_annotation),
                "called": self.calls.get(name, 0),
            }


def answer_type(annotation):
    name = getattr(annotation, "__name__", None) if not getattr(annotation, "__args__", None) else None
    return name or re.sub(r"[a-z_0-9.]+\.", "", str(annotation))


def by(field, operation, value):
    return QueryFilter(field=field, operation=operation, value={"value": value})


def in_namespace(name=NS):
    return [by(QueryFilterField.NAMESPACE, QueryFilterOp.EQUALS, name)]


def of_flow(flow_id, namespace=NS):
    return in_namespace(namespace) + [by(QueryFilterField.FLOW_ID, QueryFilterOp.EQUALS, flow_id)]


def source(flow_id, tasks, more="", namespace=NS):
    return f"id: {flow_id}\nnamespace: {namespace}\n{more}tasks:\n{tasks}"


def log(task_id="hello", message="hello"):
    return f"  - id: {task_id}\n    type: {LOG}\n    message: \"{message}\"\n"


def sleep(duration="PT1H"):
    return f"  - id: nap\n    type: {SLEEP}\n    duration: {duration}\n"


def until(what, holds, seconds=30):
    end = time.monotonic() + seconds
    while True:
        found = what()
        if holds(found):
            return found
        assert time.monotonic() < end, f"it did not come about: {found}"
        time.sleep(0.1)


def main(host, name=None, password=None):
    configuration = Configuration()
    configuration.host = host
    configuration.username, configuration.password = name or "somebody", password or "something"
    client = KestraClient(configuration)
    modules = {name: Module(name, getattr(client, name)) for name in CLASSES}
    kv, namespaces, flows, triggers, executions = modules.values()

    drive_kv(kv)
    drive_namespaces(namespaces)
    drive_flows(flows)
    drive_executions(flows, executions)
    drive_many_executions(flows, executions)
    drive_triggers(flows, executions, triggers)

    missing = []
    for module in modules.values():
        for row in module.operations():
            print(json.dumps(row))
            if not row["called"]:
                missing.append(f"{row['module']}.{row['operation']}")
    assert not missing, f"not called: {missing}"


def drive_kv(kv):
    kv.set_key_value(namespace=NS, key="text", body="hello")
    kv.set_key_value(namespace=NS, key="number", body="12.5")
    kv.set_key_value(namespace="drive.inner", key="own", body='{"a": [1, 2]}')
    detail = kv.key_value(namespace=NS, key="number")
    assert (detail.type.value, detail.value) == ("NUMBER", 12.5), detail
    assert kv.key_value(namespace="drive.inner", key="own").value == {"a": [1, 2]}
    assert [entry.key for entry in kv.list_keys(namespace=NS)] == ["number", "text"]
    assert {entry.key for entry in kv.list_keys_with_inheritence(namespace="drive.inner")} == {"number", "text"}
    page = kv.list_all_keys(page=1, size=10, filters=in_namespace("drive.inner"))
    assert page.total == 1 and page.results[0].key == "own", page
    assert kv.delete_key_value(namespace=NS, key="text") is True
    gone = kv.delete_key_values(
        namespace=NS, kv_controller_api_delete_bulk_request=KVControllerApiDeleteBulkRequest(keys=["number", "none"])
    )
    assert gone.keys == ["number"], gone


def drive_namespaces(namespaces):
    above = Namespace(id="drive", deleted=False, variables={"shared": {"a": 1}})
    assert namespaces.create_namespace(namespace=above).id == "drive"
    default = PluginDefault(type=LOG, values={"level": "WARN"})
    below = Namespace(id="drive.team", deleted=False, description="a team", plugin_defaults=[default])
    namespaces.create_namespace(namespace=below)
    below.description = "the team"
    assert namespaces.update_namespace(id="drive.team", namespace=below).description == "the team"
    assert namespaces.namespace(id="drive.team").plugin_defaults[0].type == LOG
    found = namespaces.search_namespaces(page=1, size=10, existing=True, q="drive.t")
    assert [one.id for one in found.results] == ["drive.team"], found
    assert "drive.team" in namespaces.autocomplete_namespaces(api_autocomplete=ApiAutocomplete(q="team"))
    assert namespaces.inherited_variables(id="drive.team") == {"shared": {"a": 1}}
    assert [one.namespace for one in namespaces.inherited_plugin_defaults(id="drive.team")] == ["drive.team"]
    exported = bytes(namespaces.export_plugin_defaults(id="drive.team"))
    assert LOG.encode() in exported, exported
    types = namespaces.import_plugin_defaults(id="drive", file_upload=("defaults.yaml", exported))
    assert types == [LOG], types
    secret = ApiSecretValue(key="TOKEN", value="very secret", description="a token", tags=[ApiSecretTag(key="k", value="v")])
    put = namespaces.put_secrets(namespace="drive", api_secret_value=secret)
    assert put[0].key == "TOKEN" and "very secret" not in str(put)
    meta = ApiSecretMetaEE(key="TOKEN", description="another", tags=[])
    assert namespaces.patch_secret(namespace="drive", key="TOKEN", api_secret_meta_ee=meta)[0].description == "another"
    assert namespaces.list_namespace_secrets(namespace="drive", page=1, size=10, filters=[]).total == 1
    assert namespaces.inherited_secrets(namespace="drive.team") == {"drive": ["TOKEN"]}
    namespaces.delete_secret(namespace="drive", key="TOKEN")
    assert namespaces.list_namespace_secrets(namespace="drive", page=1, size=10, filters=[]).total == 0
    for one in ("drive.team", "drive"):
        namespaces.delete_namespace(id=one)
    assert namespaces.search_namespaces(page=1, size=10, existing=True).total == 0


def drive_flows(flows):
    text = source("one", log())
    created = flows.create_flow(body=text)
    assert (created.id, created.revision, created.source) == ("one", 1, text), created
    updated = flows.update_flow(namespace=NS, id="one", body=source("one", log(message="again")))
    assert updated.revision == 2
    task = Task(id="hello", type=LOG)
    task.additional_properties = {"message": "by PATCH"}
    assert flows.update_task(namespace=NS, id="one", task_id="hello", task=task).revision == 3
    shown = flows.task_from_flow(namespace=NS, id="one", task_id="hello")
    assert shown.additional_properties["message"] == "by PATCH", shown
    assert len(flows.list_flow_revisions(namespace=NS, id="one", allow_delete=False)) == 3
    flows.delete_revisions(namespace=NS, id="one", revisions=[1])
    assert [one.revision for one in flows.list_flow_revisions(namespace=NS, id="one", allow_delete=False)] == [2, 3]
    assert flows.flow(namespace=NS, id="one", source=False, allow_deleted=False).source is None

    stream = "---\n".join(source(name, log()) for name in ("two", "three"))
    assert len(flows.bulk_update_flows(delete=False, allow_namespace_child=False, namespace=NS, body=stream)) == 2
    moved = flows.update_flows_in_namespace(delete=True, namespace="drive.other", override=True, body=source("four", log()))
    assert [one.namespace for one in moved] == ["drive.other"], moved
    assert [one.id for one in flows.list_flows_by_namespace(namespace=NS)] == ["one", "three", "two"]
    assert NS in flows.list_distinct_namespaces(q="dri")
    assert flows.search_flows(page=1, size=2, filters=in_namespace()).total == 3
    hits = flows.search_flows_by_source_code(page=1, size=10, q="by PATCH")
    assert hits.results[0].model.id == "one" and hits.results[0].fragments, hits

    parent = source("parent", f"  - id: sub\n    type: io.kestra.plugin.core.flow.Subflow\n    namespace: {NS}\n    flowId: one\n")
    flows.create_flow(body=parent)
    graph = flows.generate_flow_graph(namespace=NS, id="parent")
    assert any(node.uid == "root.sub" for node in graph.nodes), graph
    assert flows.generate_flow_graph_from_source(body=text).nodes
    topology = flows.flow_dependencies(namespace=NS, id="one", destination_only=False, expand_all=True)
    assert [edge.relation.value for edge in topology.edges] == ["FLOW_TASK"], topology
    assert len(flows.flow_dependencies_from_namespace(namespace=NS, destination_only=False).nodes) == 4

    assert flows.validate_flows(body=text)[0].constraints is None
    assert "no.such" in flows.validate_flows(body=source("x", "  - {id: a, type: no.such.Type}\n"))[0].constraints
    good = {"id": "hello", "type": LOG, "message": "hello"}
    assert flows.validate_task(section=FlowControllerTaskValidationType.TASKS, body=good).constraints is None
    schedule = {"id": "s", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": "not one"}
    assert "cron" in flows.validate_trigger(body=schedule).constraints

    limited = source("limited", sleep("PT0.1S"), "concurrency: {limit: 3}\n")
    flows.create_flow(body=limited)
    limits = flows.search_concurrency_limits()
    assert (limits.total, limits.results[0].flow_id, limits.results[0].running) == (1, "limited", 0), limits
    limit = ConcurrencyLimit(tenantId=TENANT, namespace=NS, flowId="limited", running=0)
    assert flows.update_concurrency_limit(namespace=NS, flow_id="limited", concurrency_limit=limit).running == 0

    two = [IdWithNamespace(namespace=NS, id="two")]
    archive = bytes(flows.export_flows_by_ids(id_with_namespace=two))
    assert archive.startswith(b"PK"), archive[:10]
    assert bytes(flows.export_flows_by_query(filters=in_namespace())).startswith(b"PK")
    assert flows.disable_flows_by_ids(id_with_namespace=two).count == 1
    assert flows.flow(namespace=NS, id="two", source=True, allow_deleted=False).disabled is True
    assert flows.enable_flows_by_ids(id_with_namespace=two).count == 1
    assert flows.disable_flows_by_query(filters=of_flow("three")).count == 1
    assert flows.enable_flows_by_query(filters=of_flow("three")).count == 1
    assert flows.delete_flows_by_ids(id_with_namespace=two).count == 1
    assert flows.import_flows(fail_on_error=True, file_upload=("flows.zip", archive)) == []
    assert flows.flow(namespace=NS, id="two", source=True, allow_deleted=False).disabled is False
    assert flows.import_flows(fail_on_error=False, file_upload=("flows.yaml", b"id: bad\n")) == ["0"]
    assert flows.delete_flows_by_query(filters=of_flow("three")).count == 1
    flows.delete_flow(namespace=NS, id="parent")
    assert flows.flow(namespace=NS, id="parent", source=False, allow_deleted=True).deleted is True


def drive_executions(flows, executions):
    inputs = "inputs:\n  - {id: who, type: STRING, defaults: nobody}\n  - {id: file, type: FILE, required: false}\n"
    flows.create_flow(body=source("greet", log(message="hello {{ inputs.who }}"), inputs))
    ended = executions.create_execution(
        namespace=NS, id="greet", wait=True, labels=["team:red"], additional_form_datas={"who": "Ada"},
        additional_files={"file": ("note.txt", b"a note")},
    )
    assert ended.state.current is StateType.SUCCESS and ended.inputs["who"] == "Ada", ended
    seen = executions.execution(execution_id=ended.id)
    assert seen.task_run_list[0].task_id == "hello"
    uri = seen.inputs["file"]
    assert bytes(executions.download_file_from_execution(execution_id=ended.id, path=uri)) == b"a note"
    assert executions.file_metadatas_from_execution(execution_id=ended.id, path=uri).size == 6
    assert executions.execution_flow_graph(execution_id=ended.id).nodes
    assert executions.flow_from_execution(namespace=NS, flow_id="greet").id == "greet"
    assert executions.flow_from_execution_by_id(execution_id=ended.id).id == "greet"
    assert executions.follow_execution(execution_id=ended.id)[-1]["state"]["current"] == "SUCCESS"
    states = executions.follow_dependencies_executions(execution_id=ended.id, destination_only=True, expand_all=False)
    assert states[0]["executionId"] == ended.id, states
    assert executions.search_executions(page=1, size=10, filters=of_flow("greet")).total == 1
    assert executions.search_executions_by_flow_id(namespace=NS, flow_id="greet", page=1, size=10).total == 1
    latest = executions.latest_executions(
        execution_repository_interface_flow_filter=[ExecutionRepositoryInterfaceFlowFilter(namespace=NS, id="greet")]
    )
    assert latest[0].id == ended.id, latest
    executions.set_labels_on_terminated_execution(execution_id=ended.id, label=[Label(key="a", value="b")])
    assert any(label.key == "a" for label in executions.execution(execution_id=ended.id).labels)
    replayed = executions.replay_execution(execution_id=ended.id)
    assert replayed.original_id == ended.id
    again = executions.replay_execution_withinputs(execution_id=ended.id, additional_form_datas={"who": "Bob"})
    wait_for(executions, again.id, StateType.SUCCESS)
    assert executions.update_execution_status(execution_id=ended.id, status=StateType.WARNING).state.current is StateType.WARNING

    flows.create_flow(body=source("fails", "  - {id: no, type: io.kestra.plugin.core.execution.Fail}\n"))
    failed = executions.create_execution(namespace=NS, id="fails", wait=True)
    assert failed.state.current is StateType.FAILED
    executions.restart_execution(execution_id=failed.id)
    failed = wait_for(executions, failed.id, StateType.FAILED)
    change = ExecutionControllerStateRequest(taskRunId=failed.task_run_list[0].id, state=StateType.SUCCESS)
    executions.update_task_run_state(execution_id=failed.id, execution_controller_state_request=change)
    wait_for(executions, failed.id, StateType.SUCCESS)

    flows.create_flow(body=source("naps", sleep("PT1S") + log()))
    napping = executions.create_execution(namespace=NS, id="naps", wait=False)
    wait_for(executions, napping.id, StateType.RUNNING)
    executions.pause_execution(execution_id=napping.id)
    wait_for(executions, napping.id, StateType.PAUSED)
    executions.resume_execution(execution_id=napping.id)
    wait_for(executions, napping.id, StateType.SUCCESS)

    flows.create_flow(body=source("long", sleep(), "concurrency: {limit: 1}\n"))
    first = executions.create_execution(namespace=NS, id="long", wait=False)
    wait_for(executions, first.id, StateType.RUNNING)
    waiting = [executions.create_execution(namespace=NS, id="long", wait=False) for _ in range(2)]
    for one in waiting:
        wait_for(executions, one.id, StateType.QUEUED)
    executions.unqueue_execution(execution_id=waiting[0].id, state=StateType.RUNNING)
    wait_for(executions, waiting[0].id, StateType.RUNNING)
    executions.force_run_execution(execution_id=waiting[1].id)
    wait_for(executions, waiting[1].id, StateType.RUNNING)
    for one in [first, *waiting]:
        executions.kill_execution(execution_id=one.id, is_on_kill_cascade=True)
        wait_for(executions, one.id, StateType.KILLED)
    executions.delete_execution(execution_id=first.id)
    assert executions.search_executions(page=1, size=10, filters=of_flow("long")).total == 2

    hook = "triggers: [{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: a-key}]\n"
    flows.create_flow(body=source("hooked", log(), hook))
    at = {"namespace": NS, "id": "hooked", "key": "a-key"}
    assert executions.trigger_execution_by_get_webhook(**at).id
    assert executions.trigger_execution_by_get_webhook_with_path(**at, path="a").id
    assert executions.trigger_execution_by_post_webhook_with_path(**at, path="b").id
    assert executions.trigger_execution_by_put_webhook_with_path(**at, path="c").id


def wait_for(executions, execution_id, state):
    return until(lambda: executions.execution(execution_id=execution_id), lambda seen: seen.state.current is state)


def drive_many_executions(flows, executions):
    namespace = "drive.many"
    flows.create_flow(body=source("short", log(), namespace=namespace))
    flows.create_flow(body=source("fails", "  - {id: no, type: io.kestra.plugin.core.execution.Fail}\n", namespace=namespace))
    flows.create_flow(body=source("long", sleep(), namespace=namespace))
    flows.create_flow(body=source("queue", sleep(), "concurrency: {limit: 1}\n", namespace=namespace))

    def start(flow_id, state):
        begun = executions.create_execution(namespace=namespace, id=flow_id, wait=False)
        wait_for(executions, begun.id, state)
        return begun.id

    def of(flow_id):
        return of_flow(flow_id, namespace)

    short = [start("short", StateType.SUCCESS) for _ in range(2)]
    assert executions.replay_executions_by_ids(request_body=short, latest_revision=True).count == 2
    labels = [Label(key="by", value="hundred")]
    asked = ExecutionControllerSetLabelsByIdsRequest(executionsId=short, executionLabels=labels)
    assert executions.set_labels_on_terminated_executions_by_ids(execution_controller_set_labels_by_ids_request=asked).count == 2
    until(lambda: executions.search_executions(page=1, size=10, filters=of("short")), lambda page: page.total == 4)
    executions.set_labels_on_terminated_executions_by_query(label=labels, filters=of("short"))
    executions.replay_executions_by_query(filters=of("short"), latest_revision=False)
    assert executions.update_executions_status_by_ids(new_status=StateType.WARNING, request_body=short).count == 2
    executions.update_executions_status_by_query(new_status=StateType.FAILED, filters=of("short"))

    failed = start("fails", StateType.FAILED)
    assert executions.restart_executions_by_ids(request_body=[failed]).count == 1
    wait_for(executions, failed, StateType.FAILED)
    executions.restart_executions_by_query(filters=of("fails"))

    running = [start("long", StateType.RUNNING) for _ in range(2)]
    assert executions.pause_executions_by_ids(request_body=running[:1]).count == 1
    wait_for(executions, running[0], StateType.PAUSED)
    assert executions.resume_executions_by_ids(request_body=running[:1]).count == 1
    wait_for(executions, running[0], StateType.RUNNING)
    executions.pause_executions_by_query(filters=of("long"))
    wait_for(executions, running[1], StateType.PAUSED)
    executions.resume_executions_by_query(filters=of("long"))
    wait_for(executions, running[1], StateType.RUNNING)

    start("queue", StateType.RUNNING)
    queued = [start("queue", StateType.QUEUED) for _ in range(4)]
    assert executions.unqueue_executions_by_ids(state=StateType.RUNNING, request_body=queued[:1]).count == 1
    assert executions.force_run_by_ids(request_body=queued[1:2]).count == 1
    executions.unqueue_executions_by_query(filters=of("queue"))
    wait_for(executions, queued[2], StateType.RUNNING)
    executions.force_run_executions_by_query(filters=of("queue"))

    assert executions.kill_executions_by_ids(request_body=running[:1]).count == 1
    executions.kill_executions_by_query(filters=in_namespace(namespace))
    for one in [*running, *queued]:
        wait_for(executions, one, StateType.KILLED)
    assert executions.delete_executions_by_ids(request_body=short).count == 2
    executions.delete_executions_by_query(filters=in_namespace(namespace), include_non_terminated=True)
    assert executions.search_executions(page=1, size=10, filters=in_namespace(namespace)).total == 0


def drive_triggers(flows, executions, triggers):
    namespace = "drive.triggers"
    schedule = "triggers: [{id: daily, type: io.kestra.plugin.core.trigger.Schedule, cron: '0 3 * * *'}]\n"
    for flow_id in ("a", "b"):
        flows.create_flow(body=source(flow_id, sleep(), schedule, namespace=namespace))
    mine = in_namespace(namespace)
    found = until(lambda: triggers.search_triggers(page=1, size=10, filters=mine), lambda page: page.total == 2)
    assert found.results[0].trigger_context.trigger_id == "daily", found
    page = triggers.search_triggers_for_flow(page=1, size=10, namespace=namespace, flow_id="a")
    assert page.total == 1, page

    def trigger(flow_id, **more):
        dates = {"date": found.results[0].trigger_context.var_date}
        return Trigger(namespace=namespace, flowId=flow_id, triggerId="daily", tenantId=TENANT, **dates, **more)

    assert triggers.update_trigger(trigger=trigger("a", disabled=True)).disabled is True
    assert triggers.update_trigger(trigger=trigger("a", disabled=False)).disabled is False
    both = [trigger("a"), trigger("b")]
    switched = TriggerControllerSetDisabledRequest(triggers=both, disabled=True)
    triggers.disabled_triggers_by_ids(trigger_controller_set_disabled_request=switched)
    triggers.disabled_triggers_by_query(disabled=False, filters=mine)

    def backfill(flow_id):
        past = Backfill(start="2024-01-01T00:00:00Z", end="2024-06-01T00:00:00Z")
        started = triggers.update_trigger(trigger=trigger(flow_id, backfill=past))
        assert started.backfill is not None, started

    backfill("a")
    assert triggers.pause_backfill(trigger=trigger("a")).backfill.paused is True
    assert triggers.unpause_backfill(trigger=trigger("a")).backfill.paused is False
    # It waits for the execution of its first date.
    until(lambda: triggers.search_triggers_for_flow(page=1, size=10, namespace=namespace, flow_id="a"),
          lambda page: page.results[0].execution_id)
    triggers.unlock_trigger(namespace=namespace, flow_id="a", trigger_id="daily")
    assert triggers.delete_backfill(trigger=trigger("a")).backfill is None
    backfill("a")
    backfill("b")
    triggers.pause_backfill_by_ids(trigger=both)
    triggers.unpause_backfill_by_ids(trigger=both)
    triggers.pause_backfill_by_query(filters=mine)
    triggers.unpause_backfill_by_query(filters=mine)
    triggers.unlock_triggers_by_ids(trigger=both)
    triggers.unlock_triggers_by_query(filters=mine)
    triggers.delete_backfill_by_ids(trigger=both[:1])
    triggers.delete_backfill_by_query(filters=mine)
    triggers.restart_trigger(namespace=namespace, flow_id="a", trigger_id="daily")
    text = triggers.export_triggers(filters=mine)
    assert "daily" in "".join(text), text
    triggers.delete_trigger(namespace=namespace, flow_id="a", trigger_id="daily")
    triggers.delete_triggers_by_ids(trigger=both)
    triggers.delete_triggers_by_query(delete_triggers_by_query_request=DeleteTriggersByQueryRequest(filters=mine))
    executions.kill_executions_by_query(filters=mine)


if __name__ == "__main__":
    main(*sys.argv[1:])
