# As the shell expands them.
for template in $LINT_TEMPLATES; do
  packer init "$template" && packer validate "$template" || exit
done
for playbook in $LINT_PLAYBOOKS; do
  ansible-playbook --syntax-check -i localhost, "$playbook" || exit
done
