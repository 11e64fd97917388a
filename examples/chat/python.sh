# Shell function for the scripts that start a chat: sets `python` to an interpreter with the Python package, or
# leaves it empty. The package goes into a virtual environment in the target directory.

find_python() {
    venv=${CARGO_TARGET_DIR:-target}/chat-venv
    if [ ! -e "$venv/ready" ] && command -v python3 > /dev/null; then
        echo "installing the Python package veltix into $venv"
        if python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check veltix==3.3.0; then
            touch "$venv/ready"
        fi
    fi
    python=
    if [ -e "$venv/ready" ]; then python=$venv/bin/python; fi
}
