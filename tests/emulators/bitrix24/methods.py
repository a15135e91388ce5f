"""Every REST method that the portal has, with the scopes that open it and the parameters that it knows."""

from __future__ import annotations

from tests.emulators.bitrix24 import application, crm, handlers, lines, records, telephony
from tests.emulators.bitrix24.invocation import Method

USER = ("user", "user_basic", "user_brief")
PBX = ("telephony",)
PLACE = ("placement",)
ROBOTS = ("bizproc",)

REGISTER = (
    "USER_ID USER_PHONE_INNER PHONE_NUMBER TYPE CALL_START_DATE CRM_CREATE CRM_SOURCE CRM_ENTITY_TYPE CRM_ENTITY_ID "
    "SHOW ADD_TO_CHAT CALL_LIST_ID LINE_NUMBER EXTERNAL_CALL_ID"
)
FINISH = (
    "CALL_ID USER_ID USER_PHONE_INNER DURATION COST COST_CURRENCY STATUS_CODE FAILED_REASON RECORD_URL VOTE ADD_TO_CHAT"
)
USER_LIST = "FILTER sort order start ADMIN_MODE select IMAGE_RESIZE"
NOTICE = "USER_ID MESSAGE TYPE MESSAGE_OUT TAG SUB_TAG ATTACH CLIENT_ID"
BINDING = "event handler auth_type event_type auth_connector options"
PLACEMENT = "PLACEMENT HANDLER TITLE DESCRIPTION GROUP_NAME LANG_ALL OPTIONS USER_ID"
TODO = "ownerTypeId ownerId deadline title description responsibleId parentActivityId pingOffsets colorId"
ROBOT = (
    "CODE HANDLER AUTH_USER_ID USE_SUBSCRIPTION NAME DESCRIPTION PROPERTIES RETURN_PROPERTIES DOCUMENT_TYPE FILTER "
    "USE_PLACEMENT"
)

ALL = (
    Method("app.info", application.app_info),
    Method("scope", application.scope, keys="full"),
    Method("profile", application.profile),
    Method("user.admin", application.user_admin),
    Method("user.current", application.user_current, USER),
    Method("user.get", application.user_get, USER, USER_LIST),
    Method("im.notify", application.notify, ("im",), NOTICE),
    Method("events", handlers.events, keys="SCOPE FULL"),
    Method("event.bind", handlers.event_bind, keys=BINDING),
    Method("event.get", handlers.event_get),
    Method("event.unbind", handlers.event_unbind, keys=BINDING),
    Method("event.test", handlers.event_test, keys="any"),
    Method("placement.bind", handlers.placement_bind, PLACE, PLACEMENT, admin=True),
    Method("placement.get", handlers.placement_get, PLACE, admin=True),
    Method("placement.unbind", handlers.placement_unbind, PLACE, "PLACEMENT HANDLER", admin=True),
    Method("bizproc.robot.add", handlers.robot_add, ROBOTS, ROBOT, admin=True),
    Method("bizproc.robot.update", handlers.robot_update, ROBOTS, "CODE FIELDS", admin=True),
    Method("bizproc.robot.delete", handlers.robot_delete, ROBOTS, "CODE", admin=True),
    Method("bizproc.robot.list", handlers.robot_list, ROBOTS, admin=True),
    Method("bizproc.event.send", handlers.workflow_answer, ROBOTS, "EVENT_TOKEN RETURN_VALUES LOG_MESSAGE"),
    Method("crm.activity.todo.add", crm.todo_add, ("crm",), TODO),
    Method("crm.activity.update", crm.activity_update, ("crm",), "id fields"),
    Method("crm.timeline.comment.add", crm.comment_add, ("crm",), "fields"),
    Method("crm.lead.update", crm.lead_update, ("crm",), "id fields params"),
    Method("crm.activity.list", crm.activity_list, ("crm",), "filter select order start"),
    Method("telephony.externalCall.register", telephony.register, PBX, REGISTER),
    Method("telephony.externalCall.finish", telephony.finish, PBX, FINISH),
    Method("telephony.externalCall.show", telephony.show, PBX, "CALL_ID USER_ID"),
    Method("telephony.externalCall.hide", telephony.hide, PBX, "CALL_ID USER_ID"),
    Method(
        "telephony.externalCall.attachRecord",
        records.attach_record,
        PBX,
        "CALL_ID RECORD_URL FILENAME FILE_CONTENT",
        locked=False,  # it waits for the server that has the recording
    ),
    Method("telephony.externalCall.searchCrmEntities", lines.search_crm_entities, PBX, "PHONE_NUMBER"),
    Method("telephony.externalLine.add", lines.line_add, PBX, "NUMBER NAME CRM_AUTO_CREATE"),
    Method("telephony.externalLine.get", lines.line_get, PBX),
    Method("telephony.externalLine.update", lines.line_update, PBX, "NUMBER NAME CRM_AUTO_CREATE"),
    Method("telephony.externalLine.delete", lines.line_delete, PBX, "NUMBER"),
    Method("voximplant.line.outgoing.get", lines.line_outgoing, PBX, admin=True),
    Method("voximplant.statistic.get", lines.statistic, PBX, "FILTER SORT ORDER start"),
)
METHODS = {method.name.lower(): method for method in ALL}
UNBATCHABLE = frozenset({"batch", "upload", "download"})
