# ramet profile "clean": on top of "default", what a used system has gathered. For images that
# become other people's machines: profile = "default clean" in the source's agent configuration.
class=profile name=clean version=1

class=leave path=/var/log/*.log what=log
class=leave path=/var/log/*.gz what=log
class=leave path=/var/log/*.[0-9] what=log
class=leave path=/var/log/syslog what=log
class=leave path=/var/log/messages what=log
class=leave path=/var/log/journal/* what=log
class=leave path=/var/log/*/*.log what=log
class=leave path=/var/log/*/*.gz what=log
class=leave path=/var/log/btmp what=log
class=leave path=/var/log/wtmp what=log
class=leave path=/var/tmp/* what=temporary
class=leave path=/var/spool/mail/* what=mail
class=leave path=/var/mail/* what=mail
class=leave path=/var/lib/apt/lists/* what=cache
class=leave path=/root/.cache what=cache
class=leave path=/home/*/.cache what=cache
class=leave path=.bash_history what=history
class=leave path=.zsh_history what=history
class=leave path=.python_history what=history
class=leave path=.lesshst what=history
class=leave path=.viminfo what=history
