# What `cmake --install build` puts where. It starts nothing and enables nothing: README says what to do then.
install(TARGETS kido kidod kidoban RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})

foreach(page kido.8 kidod.8 kidoban.8)
  install(FILES docs/man/${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
endforeach()
install(FILES docs/man/kido-policy.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(DIRECTORY config/examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES config/kido.conf.example config/kidoban.conf.example DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

# systemd looks in these places whatever the prefix of the programs is.
set(KIDO_SYSTEMD_DIRECTORY lib CACHE PATH "Where units, sysusers.d and tmpfiles.d live (below the prefix)")
file(GLOB units CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/config/systemd/*.service)
install(FILES ${units} DESTINATION ${KIDO_SYSTEMD_DIRECTORY}/systemd/system)
install(FILES ${CMAKE_SOURCE_DIR}/config/systemd/kido.sysusers DESTINATION ${KIDO_SYSTEMD_DIRECTORY}/sysusers.d
        RENAME kido.conf)
install(FILES ${CMAKE_SOURCE_DIR}/config/systemd/kido.tmpfiles DESTINATION ${KIDO_SYSTEMD_DIRECTORY}/tmpfiles.d
        RENAME kido.conf)

# Completion comes from the table of verbs.
set(completions "")
foreach(shell bash zsh fish)
  set(file ${CMAKE_BINARY_DIR}/completion/kido.${shell})
  add_custom_command(OUTPUT ${file} COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/completion
                     COMMAND $<TARGET_FILE:kido> --help=${shell} > ${file} DEPENDS kido VERBATIM)
  list(APPEND completions ${file})
endforeach()
add_custom_target(completion ALL DEPENDS ${completions})
install(FILES ${CMAKE_BINARY_DIR}/completion/kido.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME kido)
install(FILES ${CMAKE_BINARY_DIR}/completion/kido.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions
        RENAME _kido)
install(FILES ${CMAKE_BINARY_DIR}/completion/kido.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
