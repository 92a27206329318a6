# Number the results, "ok TITLE" and "not ok TITLE", of tests that play side by side, as they come: TAP. The status is 1
# where one failed, or there was none.
/^(not )?ok / { sub("ok ", "ok " ++number " "); failed += /^not/ }
{ print; fflush() }
END { print "1.." number + 0; exit failed > 0 || !number }
