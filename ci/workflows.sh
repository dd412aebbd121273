#!/usr/bin/env bash
# Lints the workflows, the action, and the recipes of docs/ci.md: zizmor for what is wrong in them, the schemas of GitHub and GitLab for their form.
# Brings both linters into target/ once; takes 10 s then, else 2 s.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/workflows/tools
if [ ! -x "$tools/bin/zizmor" ]; then
  if ! python3 -m pip install --quiet --disable-pip-version-check --no-compile --root-user-action ignore --target "$tools" \
    zizmor==1.32.0 check-jsonschema==0.39.0; then
    echo "ATTENTION: pip cannot bring the linters here: the workflows were not checked"
    exit 0
  fi
fi
schema() { PYTHONPATH=$tools python3 -m check_jsonschema --quiet --builtin-schema "vendor.$1" "${@:2}"; }

# The recipes are files of the kind that the line before each of them names: `<!-- github-workflow: name -->`.
recipes=target/workflows/recipes
rm -rf "$recipes"
mkdir -p "$recipes"/{github-workflow,gitlab-ci}
awk -v to="$recipes" '
  /^<!-- (github-workflow|gitlab-ci): / { file = to "/" substr($2, 1, length($2) - 1) "/" $3 ".yml" }
  /^```$/ && inside { inside = 0; close(file); file = "" }
  inside { print > file }
  /^```yaml$/ && file { inside = 1 }
' docs/ci.md

schema github-workflows .github/workflows/*.yml "$recipes"/github-workflow/*.yml
schema github-actions ci/setup/action.yml
schema gitlab-ci "$recipes"/gitlab-ci/*.yml
"$tools/bin/zizmor" --quiet --offline --config .github/zizmor.yml .github/workflows ci/setup "$recipes/github-workflow"
echo "$(find .github/workflows "$recipes" -name '*.yml' | wc -l) workflows and recipes are well formed"
