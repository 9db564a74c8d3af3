"""Verbs that a docstring may begin with: the field's own, in the imperative.

A list knows what an ending cannot: "Process" and "Pass" are verbs, "Series" and "Nothing" are not.
Add a verb that is missing. Do not add verbs of speech: programs send, report and store.
"""

LISTED = """
abort accept acknowledge acquire activate add adjust advance aggregate alarm alert align allocate
allow analyse analyze answer append apply archive arrange assemble assert assign attach
authenticate authorise authorize average await back backdate begin bind block bound bring buffer
build bump bury cache calculate call cancel cap capture change check choose claim clamp classify
clean clear clip clone close collapse collect combine commit compare compile complete compose
compress compute configure confirm connect consume continue convert copy correct count create cut
deactivate decide declare decode decompress decrease decrypt deduplicate define delay delegate
delete deliver demand deploy derive describe deserialise deserialize detach detect determine
disable discard disconnect discover dispatch display divide do document double download drain draw
drop dump duplicate edit emit empty enable encode encrypt end enforce enqueue ensure enter
enumerate escape estimate evaluate examine exchange exclude execute exit expand expect expire
explain expose extend extract fail feed fetch fill filter finalise finalize find finish fit flag
flatten flush fold follow forbid force forget fork format forward free freeze gather generate get
give grant group grow guard guess halt hand handle hang hash have hide hold identify ignore imitate
import include increase increment index inflate inform inherit initialise initialize inject insert
inspect install instrument interpolate interpret interrupt intersect invalidate invert invoke issue
iterate join judge keep kill launch lay lease leave lend let limit link list listen load locate
lock log look lower maintain make map mark mask match measure merge migrate mimic mirror mock
modify monitor mount move multiply mutate name narrow normalise normalize note notify number obtain
omit open order overwrite own pack pad pair parse partition pass patch pause perform persist pick
pin place plan play poll pop populate post postpone prefer prefix prepare present preserve prevent
print process produce profile prompt protect prove provide prune publish pull purge push put
qualify quarantine query queue quote raise randomise randomize rank reach react read reap rebuild
recalculate recall receive recognise recognize recompute reconcile reconnect record recover
redirect redo redraw reduce refer refill refresh refuse register reject release reload remember
remove rename render renew reopen repair repeat replace replay reply report request requeue require
reschedule resend reserve reset resize resolve respond restart restore restrict resubmit resume
retain retrieve retry return reuse revalidate revert revoke rewind rewrite roll rotate round route
run sample save scale scan schedule scrape seal search select send separate serialise serialize
serve set settle shape share shift shorten show shrink shuffle shut sign signal simulate skip sleep
slice smooth snapshot sort spawn specify split spool squash stage stamp stand start stay steer step
stop store stream strip stub submit subscribe substitute subtract succeed suffix sum supply support
suppress suspend swap switch synchronise synchronize synthesise synthesize tag tail take tally tear
terminate test throttle throw tidy time toggle touch trace track transfer transform translate
traverse treat trim truncate try turn unbind undo unlink unlock unpack unregister unwind unwrap
unzip update upgrade upload use validate verify visit wait wake walk warm warn watch weigh widen
wire withdraw work wrap write yield zero zip
"""

VERBS = frozenset(LISTED.split())
